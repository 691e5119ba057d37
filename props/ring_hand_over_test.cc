// SPDX-License-Identifier: Apache-2.0
// A TCP connection that one shard accepted goes on on another: what was read and what was not, both directions, and
// nothing is left behind. Connections that cannot go are forwarded; and a shared port deals them out to begin with.
// ctest: real_time
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <optional>
#include <vector>

#include "props/shards_fixture.h"
#include "real/handed_over.h"
#include "real/shard_port.h"
#include "transport/tcp/tcp.h"

namespace twinwire::real {
namespace {

class HandOver : public ShardsRun {
 protected:
  using Stream = std::unique_ptr<ByteStream>;

  // Two ends of one connection, both on this shard.
  static std::pair<Stream, Stream> connect(Shard& shard) {
    auto acceptor = shard.network().listen(loopback, {});
    EXPECT_TRUE(acceptor.has_value());
    auto near = shard.network().dial((*acceptor)->local(), {}, soon(shard));
    EXPECT_TRUE(near.has_value());
    auto far = (*acceptor)->accept(soon(shard));
    EXPECT_TRUE(far.has_value());
    return {std::move(*near), std::move(*far)};
  }
  static void say(Shard& shard, ByteStream& stream, std::string_view text) {
    const iovec piece{const_cast<char*>(text.data()), text.size()};
    auto n = stream.write({&piece, 1}, soon(shard));
    ASSERT_TRUE(n.has_value());
    ASSERT_EQ(*n, text.size());
  }
  // The next `size` bytes.
  static std::string hear(Shard& shard, ByteStream& stream, std::size_t size) {
    std::string text;
    while (text.size() < size) {
      auto slice = stream.read(soon(shard));
      if (!slice || slice->empty()) return text + "(end)";
      text.append(reinterpret_cast<const char*>(slice->data()), slice->size());
    }
    return text;
  }
  // Waits for what the stream says at its end: an error, or success for a clean one.
  static Result<void> end_of(Shard& shard, ByteStream& stream) {
    for (;;) {
      auto slice = stream.read(soon(shard));
      if (!slice) return slice.error();
      if (slice->empty()) return {};
    }
  }
};

TEST_F(HandOver, another_shard_sends_on_a_connection_that_one_accepted) {
  std::atomic<bool> answered{false};
  run({.count = 2}, [&](Shard& shard) {
    if (shard.index() == 1) return until(shard, [&] { return answered.load(); });
    auto [near, far] = connect(shard);
    say(shard, *near, "hello");
    EXPECT_EQ(hear(shard, *far, 5), "hello");
    auto connection = HandedOver::take(far, soon(shard));
    ASSERT_TRUE(connection.has_value());
    EXPECT_EQ(far, nullptr);
    EXPECT_EQ(shard.ring().core().operations().in_flight(), 1u) << "the bell alone";
    auto* const done = &answered;
    ASSERT_TRUE(shard
                    .post(1,
                          [c = std::move(*connection), done](Shard& there) mutable {
                            auto stream = std::move(c).adopt(there.ring());
                            ASSERT_TRUE(stream.has_value());
                            there.scope().spawn("guest", [s = std::move(*stream), &there, done] {
                              EXPECT_EQ(there.index(), 1u);
                              say(there, *s, "from the other shard");
                              EXPECT_EQ(hear(there, *s, 6), "thanks");
                              EXPECT_TRUE(s->shutdown_write(soon(there)).has_value());
                              EXPECT_TRUE(end_of(there, *s).has_value());
                              *done = true;
                            });
                          })
                    .has_value());
    EXPECT_EQ(hear(shard, *near, 20), "from the other shard");
    say(shard, *near, "thanks");
    EXPECT_TRUE(end_of(shard, *near).has_value()) << "and it ends cleanly";
    EXPECT_TRUE(near->shutdown_write(soon(shard)).has_value());
  });
}

TEST_F(HandOver, what_was_received_and_not_read_goes_along) {
  std::string got;
  std::atomic<bool> done{false};
  run({.count = 2}, [&](Shard& shard) {
    if (shard.index() == 1) return until(shard, [&] { return done.load(); });
    auto [near, far] = connect(shard);
    // Small messages that are waited for make the ring keep a receive up by itself.
    std::size_t unread = 0;
    shard.scope().spawn("talker", [&shard, &n = *near] {
      for (int i = 0; i < 12; ++i) {
        EXPECT_TRUE(shard.scheduler().sleep_for(milliseconds(2)).has_value());
        say(shard, n, "tick");
      }
      EXPECT_TRUE(shard.scheduler().sleep_for(milliseconds(20)).has_value());
      say(shard, n, "and these are not read");
    });
    EXPECT_EQ(hear(shard, *far, 48), "ticktickticktickticktickticktickticktickticktick");
    EXPECT_TRUE(shard.scheduler().sleep_for(milliseconds(100)).has_value());
    EXPECT_GT(shard.ring().counters().multishot_completions, 0u) << "this test tests nothing";
    auto connection = HandedOver::take(far, soon(shard));
    ASSERT_TRUE(connection.has_value());
    unread = connection->unread();
    EXPECT_EQ(unread, 22u);
    say(shard, *near, ", nor these");
    ASSERT_TRUE(shard
                    .post(1,
                          [c = std::move(*connection), &got, &done](Shard& there) mutable {
                            auto stream = std::move(c).adopt(there.ring());
                            ASSERT_TRUE(stream.has_value());
                            there.scope().spawn(
                                "guest", [s = std::move(*stream), &there, &got, &done] {
                                  std::array<std::byte, 4> some{};
                                  ASSERT_EQ(s->read_into(some, soon(there)).value(), 4u);
                                  got.assign(reinterpret_cast<const char*>(some.data()), 4);
                                  got += hear(there, *s, 29);
                                  done = true;
                                });
                          })
                    .has_value());
    EXPECT_EQ(end_of(shard, *near).error(), Errc::broken) << "the guest dropped it";
  });
  EXPECT_EQ(got, "and these are not read, nor these");
}

TEST_F(HandOver, what_was_read_of_a_buffer_does_not_go_along) {
  run({.count = 1}, [&](Shard& shard) {
    auto [near, far] = connect(shard);
    // Little by little, with pauses: the ring then keeps up a receive of its own, into a queue of buffers.
    shard.scope().spawn("talker", [&shard, n = near.get()] {
      for (int i = 0; i < 12; ++i) {
        if (!shard.scheduler().sleep_for(milliseconds(2))) return;
        say(shard, *n, "tick");
      }
      (void)shard.scheduler().sleep_for(milliseconds(20));
      say(shard, *n, "0123456789");
    });
    EXPECT_EQ(hear(shard, *far, 48).size(), 48u);
    ASSERT_TRUE(shard.scheduler().sleep_for(milliseconds(60)).has_value());
    const auto& counters = shard.ring().counters();
    const auto open = [&] {
      return counters.connections_accepted + counters.connections_dialed +
             counters.connections_adopted - counters.connections_closed;
    };
    const auto operations = counters.operations;
    std::array<std::byte, 4> some{};
    ASSERT_EQ(far->read_into(some, soon(shard)).value(), 4u);
    ASSERT_EQ(counters.operations, operations) << "it tests nothing: the bytes were not there";
    EXPECT_EQ(open(), 2u);
    auto connection = HandedOver::take(far, soon(shard));
    ASSERT_TRUE(connection.has_value());
    EXPECT_EQ(open(), 1u) << "handed over is not open here";
    EXPECT_EQ(connection->unread(), 6u);
    auto stream = std::move(*connection).adopt(shard.ring());
    ASSERT_TRUE(stream.has_value());
    EXPECT_EQ(open(), 2u);
    EXPECT_EQ(hear(shard, **stream, 6), "456789");
  });
}

TEST_F(HandOver, both_ends_and_the_peers_address_go_along) {
  run({.count = 1}, [&](Shard& shard) {
    auto [near, far] = connect(shard);
    ASSERT_TRUE(near->shutdown_write(soon(shard)).has_value());
    ASSERT_TRUE(end_of(shard, *far).has_value());
    ASSERT_TRUE(far->shutdown_write(soon(shard)).has_value());
    auto connection = HandedOver::take(far, soon(shard));
    ASSERT_TRUE(connection.has_value());
    auto stream = std::move(*connection).adopt(shard.ring());
    ASSERT_TRUE(stream.has_value());
    EXPECT_EQ((*stream)->peer(), near->local());
    stream->reset();
    EXPECT_EQ(shard.ring().counters().resets_sent, 0u) << "there was nothing left to reset";
    EXPECT_TRUE(end_of(shard, *near).has_value());
  });
}

TEST_F(HandOver, a_connection_that_nobody_adopts_is_reset) {
  run({.count = 1}, [&](Shard& shard) {
    auto [near, far] = connect(shard);
    {
      auto connection = HandedOver::take(far, soon(shard));
      ASSERT_TRUE(connection.has_value());
      const HandedOver moved = std::move(*connection);
      EXPECT_TRUE(connection->empty());
      EXPECT_FALSE(moved.empty());
    }
    EXPECT_EQ(end_of(shard, *near).error(), Errc::broken);
  });
}

TEST_F(HandOver, a_connection_posted_too_late_is_reset) {
  const ShardCounters counters = run({.count = 2}, [&](Shard& shard) {
    if (shard.index() == 1) return;
    auto [near, far] = connect(shard);
    auto connection = HandedOver::take(far, soon(shard));
    ASSERT_TRUE(connection.has_value());
    auto function = [c = std::move(*connection)](Shard& there) mutable {
      auto stream = std::move(c).adopt(there.ring());  // and drops it
      EXPECT_TRUE(stream.has_value());
    };
    if (!shard.post(1, std::move(function))) {
      const auto dropped = std::move(function);
    }
    EXPECT_EQ(end_of(shard, *near).error(), Errc::broken);
  });
  EXPECT_LE(counters.posted, 1u);
}

TEST_F(HandOver, a_stream_that_somebody_uses_stays) {
  run({.count = 1}, [&](Shard& shard) {
    auto [near, far] = connect(shard);
    run_scope(shard.scheduler(), [&, &n = *near, &f = far](Scope& scope) {
      scope.spawn("reader", [&] { EXPECT_EQ(hear(shard, *f, 5), "hello"); });
      shard.scheduler().yield();
      auto connection = HandedOver::take(f, soon(shard));
      EXPECT_EQ(connection.error(), Errc::invalid);
      ASSERT_NE(f, nullptr);
      say(shard, n, "hello");
    });
    say(shard, *far, "still here");
    EXPECT_EQ(hear(shard, *near, 10), "still here");
  });
}

TEST_F(HandOver, a_stream_that_is_lost_or_of_another_kind_is_refused) {
  class Other final : public ByteStream {
   public:
    Result<std::size_t> write(std::span<const iovec>, Deadline) override { return Errc::broken; }
    Result<Slice> read(Deadline) override { return Errc::broken; }
    Result<std::size_t> read_into(std::span<std::byte>, Deadline) override { return Errc::broken; }
    Result<void> shutdown_write(Deadline) override { return {}; }
    void abort() noexcept override {}
    Address local() const noexcept override { return {}; }
    Address peer() const noexcept override { return {}; }
  };
  run({.count = 1}, [&](Shard& shard) {
    Stream other = std::make_unique<Other>();
    EXPECT_EQ(HandedOver::take(other, soon(shard)).error(), Errc::unsupported);
    EXPECT_NE(other, nullptr);
    auto [near, far] = connect(shard);
    far->abort();
    EXPECT_EQ(HandedOver::take(far, soon(shard)).error(), Errc::broken);
  });
}

TEST_F(HandOver, an_end_that_was_read_or_sent_is_one_still) {
  run({.count = 1}, [&](Shard& shard) {
    auto [near, far] = connect(shard);
    ASSERT_TRUE(far->shutdown_write(soon(shard)).has_value());
    ASSERT_TRUE(near->shutdown_write(soon(shard)).has_value());
    ASSERT_TRUE(end_of(shard, *far).has_value());
    auto connection = HandedOver::take(far, soon(shard));
    ASSERT_TRUE(connection.has_value());
    auto stream = std::move(*connection).adopt(shard.ring());
    ASSERT_TRUE(stream.has_value());
    const std::byte byte{};
    const iovec piece{const_cast<std::byte*>(&byte), 1};
    EXPECT_EQ((*stream)->write({&piece, 1}, soon(shard)).error(), Errc::broken);
    stream->reset();  // both ends have ended: a plain close, no reset
    EXPECT_TRUE(end_of(shard, *near).has_value());
  });
}

// --- Other ways ------------------------------------------------------------------------------------------------------

TEST_F(HandOver, messages_of_a_connection_that_stays_are_forwarded_and_answered) {
  constexpr std::uint64_t count = 2000;
  struct Ports {
    ShardPort::Sender work;
    ShardPort::Sender answers;
    std::atomic<int> ready{0};
    std::atomic<bool> over{false};
  } ports;
  run({.count = 2}, [&](Shard& shard) {
    ShardPort here(shard);
    if (shard.index() == 1) {
      // Works on messages of connections that are not its own.
      ports.work = here.sender();
      ++ports.ready;
      until(shard, [&] { return ports.ready == 2; });
      for (std::uint64_t i = 0; i < count; ++i) {
        auto request = here.receive(soon(shard));
        ASSERT_TRUE(request.has_value());
        auto answer = MutableMessage::create(shard.ring().buffers(), Command::reply, 8);
        answer->set_request_id(request_id(*request));
        std::memcpy(answer->body().data(), request->body().data(), 8);
        Message reply = std::move(*answer).freeze();
        *request = Message();
        ASSERT_TRUE(ports.answers.send(shard, reply).has_value());
      }
      return until(shard, [&] { return ports.over.load(); });
    }
    ports.answers = here.sender();
    ++ports.ready;
    until(shard, [&] { return ports.ready == 2; });
    auto [a, b] = connect(shard);
    auto client = FramedConn::over(shard.network(), std::move(a), {});
    auto server = FramedConn::over(shard.network(), std::move(b), {});
    auto [client_reader, client_writer] = split(std::move(*client));
    auto [reader, writer] = split(std::move(*server));
    run_scope(shard.scheduler(), [&, &r = reader, &w = writer, &cr = client_reader,
                                  &cw = client_writer](Scope& scope) {
      scope.spawn("client", [&] {
        for (std::uint64_t i = 0; i < count; ++i) {
          auto request = MutableMessage::create(shard.ring().buffers(), Command::request, 8);
          request->set_request_id(i);
          std::memcpy(request->body().data(), &i, 8);
          Batch batch(1);
          batch.push(std::move(*request).freeze());
          ASSERT_TRUE(cw.send_batch(batch, soon(shard)).has_value());
        }
      });
      scope.spawn("forward", [&] {
        for (std::uint64_t i = 0; i < count; ++i) {
          auto request = r.read_message(default_max_message, soon(shard));
          ASSERT_TRUE(request.has_value());
          while (!ports.work.send(shard, *request))
            ASSERT_TRUE(shard.scheduler().sleep_for(microseconds(50)).has_value());
        }
      });
      scope.spawn("answer", [&] {
        for (std::uint64_t i = 0; i < count; ++i) {
          auto reply = here.receive(soon(shard));
          ASSERT_TRUE(reply.has_value());
          Batch batch(1);
          batch.push(std::move(*reply));
          ASSERT_TRUE(w.send_batch(batch, soon(shard)).has_value());
        }
      });
      for (std::uint64_t i = 0; i < count; ++i) {
        auto reply = cr.read_message(default_max_message, soon(shard));
        ASSERT_TRUE(reply.has_value());
        EXPECT_EQ(request_id(*reply), i);
      }
    });
    ports.over = true;
  });
}

TEST_F(HandOver, a_shared_port_deals_connections_out_to_the_shards) {
  constexpr int connections = 200;
  std::atomic<std::uint16_t> port{0};
  std::atomic<int> listening{0};
  std::array<std::atomic<int>, 2> accepted{};
  run({.count = 3}, [&](Shard& shard) {
    if (shard.index() == 2) {
      until(shard, [&] { return listening == 2; });
      const Address address = Address::v4(127, 0, 0, 1, port);
      std::vector<Stream> held;
      held.reserve(connections);
      for (int i = 0; i < connections; ++i) {
        auto stream = shard.network().dial(address, {}, soon(shard));
        ASSERT_TRUE(stream.has_value());
        held.push_back(std::move(*stream));
      }
      until(shard, [&] { return accepted[0] + accepted[1] == connections; });
      return shard.stop();
    }
    // The second takes the port that the first was given.
    if (shard.index() == 1) until(shard, [&] { return port != 0; });
    ListenOptions options;
    options.reuse_port = true;
    auto acceptor = shard.network().listen(Address::v4(127, 0, 0, 1, port), options);
    ASSERT_TRUE(acceptor.has_value());
    port = (*acceptor)->local().port;
    ++listening;
    std::vector<Stream> held;
    for (;;) {
      auto stream = (*acceptor)->accept(Deadline::never());
      if (!stream) break;
      held.push_back(std::move(*stream));
      ++accepted[shard.index()];
    }
  });
  EXPECT_EQ(accepted[0] + accepted[1], connections);
  EXPECT_GT(accepted[0].load(), connections / 10);
  EXPECT_GT(accepted[1].load(), connections / 10);
}

}  // namespace
}  // namespace twinwire::real
