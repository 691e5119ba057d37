// SPDX-License-Identifier: Apache-2.0
// Operations that go on: receives and accepts that complete many times. That they are used, that they end where they
// must, and that no byte and no connection is lost at any change from one way to the other.
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "props/ring_fixture.h"

namespace twinwire::real {
namespace {

class RingMultishot : public RingTest {
 protected:
  static RingOptions accepting() {
    RingOptions options;
    options.multishot_accept = true;
    return options;
  }

  // Many small messages, each answered: the reader always waits.
  static void ping_pong(ByteStream& a, ByteStream& b, int rounds, std::size_t size,
                        Deadline until) {
    for (int i = 0; i < rounds; ++i) {
      ASSERT_TRUE(write_all(a, pattern(size, size * static_cast<std::size_t>(i)), until));
      const auto bytes = read_up_to(b, size, until);
      ASSERT_TRUE(bytes.has_value());
      ASSERT_EQ(*bytes, pattern(size, size * static_cast<std::size_t>(i)));
    }
  }
};

TEST_F(RingMultishot, a_connection_that_mostly_waits_receives_without_asking_each_time) {
  constexpr int rounds = 200;
  const Counters counters = run({}, [&](RingNetwork& network, Scope& scope) {
    auto [near, far] = connect(network);
    scope.spawn("reader", [&, s = far.get()] {
      for (std::size_t got = 0; got < rounds * 100;) {
        auto slice = s->read(soon());
        ASSERT_TRUE(slice.has_value());
        ASSERT_TRUE(std::ranges::equal(slice->bytes(), pattern(slice->size(), got)));
        got += slice->size();
      }
    });
    for (int i = 0; i < rounds; ++i) {
      ASSERT_TRUE(write_all(*near, pattern(100, static_cast<std::size_t>(i) * 100), soon()));
      ASSERT_TRUE(ring().scheduler().sleep_for(microseconds(50)));
    }
    scope.join();
  });
  EXPECT_GT(counters.multishot_completions, 50u);
}

TEST_F(RingMultishot, every_byte_arrives_however_the_reader_and_the_stream_change_their_ways) {
  run({}, [&](RingNetwork& network, Scope& scope) {
    auto [near, far] = connect(network);
    // Small pieces with pauses, floods, and pieces again; read by slices and into the reader's memory by turns.
    constexpr std::array<std::size_t, 7> lengths = {100, 1, 300'000, 256, 16'320, 70'000, 17};
    std::size_t total = 0;
    for (std::size_t i = 0; i < 210; ++i) total += lengths[(i / 10) % lengths.size()];
    scope.spawn("reader", [&, s = far.get()] {
      std::vector<std::byte> room(40'000);
      std::size_t got = 0;
      for (std::size_t i = 0; got < total; ++i) {
        if (i % 37 >= 30) {
          const std::size_t want = std::min(room.size(), total - got);
          const auto n = s->read_into(std::span(room).first(want), soon());
          ASSERT_TRUE(n.has_value());
          ASSERT_TRUE(std::ranges::equal(std::span(room).first(*n), pattern(*n, got)));
          got += *n;
        } else {
          auto slice = s->read(soon());
          ASSERT_TRUE(slice.has_value());
          ASSERT_FALSE(slice->empty());
          ASSERT_TRUE(std::ranges::equal(slice->bytes(), pattern(slice->size(), got)));
          got += slice->size();
        }
      }
      EXPECT_EQ(got, total);
    });
    std::size_t sent = 0;
    for (std::size_t i = 0; i < 210; ++i) {
      const std::size_t length = lengths[(i / 10) % lengths.size()];
      ASSERT_TRUE(write_all(*near, pattern(length, sent), soon()));
      sent += length;
      ASSERT_TRUE(ring().scheduler().sleep_for(microseconds(i % 3 == 0 ? 200 : 1)));
    }
    scope.join();
  });
}

TEST_F(RingMultishot, what_nobody_reads_stays_with_the_sender) {
  run({}, [&](RingNetwork& network, Scope&) {
    StreamOptions options;
    options.send_buffer = options.receive_buffer = 32 * 1024;
    auto [near, far] = connect(network, options);
    ping_pong(*near, *far, 20, 100, soon());  // far's receive goes on now
    std::size_t accepted = 0;
    const auto piece = pattern(1024);
    for (;;) {
      const iovec one{const_cast<std::byte*>(piece.data()), piece.size()};
      const auto n = near->write({&one, 1}, in(milliseconds(100)));
      if (!n) {
        EXPECT_EQ(n.error(), Errc::timed_out);
        break;
      }
      accepted += *n;
      ASSERT_LT(accepted, std::size_t{8} << 20) << "the reader's silence does not reach the writer";
    }
    const auto rest = read_up_to(*far, accepted, soon());
    ASSERT_TRUE(rest.has_value());
    EXPECT_EQ(rest->size(), accepted);
  });
}

TEST_F(RingMultishot, a_read_that_timed_out_or_was_canceled_has_lost_nothing) {
  run({}, [&](RingNetwork& network, Scope& scope) {
    auto [near, far] = connect(network);
    ping_pong(*near, *far, 20, 100, soon());
    EXPECT_EQ(far->read(in(milliseconds(5))).error(), Errc::timed_out);
    const FiberHandle fiber = scope.spawn(
        "to cancel", [&, s = far.get()] { EXPECT_EQ(s->read(soon()).error(), Errc::canceled); });
    ASSERT_TRUE(ring().scheduler().sleep_for(milliseconds(2)));
    ring().scheduler().cancel(fiber);
    scope.join();
    ASSERT_TRUE(write_all(*near, pattern(1000), soon()));
    ASSERT_TRUE(ring().scheduler().sleep_for(milliseconds(2)));
    // It is here already; a call whose deadline has passed takes nothing all the same.
    EXPECT_EQ(far->read(Deadline{TimePoint{1}}).error(), Errc::timed_out);
    EXPECT_EQ(*read_up_to(*far, 1000, soon()), pattern(1000));
    // The same into the reader's memory, while the receive is told to end.
    std::array<std::byte, 10> room;
    EXPECT_EQ(far->read_into(room, in(milliseconds(5))).error(), Errc::timed_out);
    ASSERT_TRUE(write_all(*near, pattern(25), soon()));
    std::vector<std::byte> got;
    while (got.size() < 25) {
      const auto n = far->read_into(room, soon());
      ASSERT_TRUE(n.has_value());
      got.insert(got.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(*n));
    }
    EXPECT_EQ(got, pattern(25));
  });
}

TEST_F(RingMultishot, the_end_of_the_stream_and_a_reset_are_told_apart_after_what_came_before) {
  run({}, [&](RingNetwork& network, Scope&) {
    {
      auto [near, far] = connect(network);
      ping_pong(*near, *far, 20, 100, soon());
      ASSERT_TRUE(write_all(*near, pattern(300), soon()));
      ASSERT_TRUE(near->shutdown_write(soon()));
      ASSERT_TRUE(ring().scheduler().sleep_for(milliseconds(2)));
      EXPECT_EQ(*read_up_to(*far, 300, soon()), pattern(300));
      for (int i = 0; i < 3; ++i) EXPECT_TRUE(far->read(soon())->empty());
      ASSERT_TRUE(far->shutdown_write(soon()));
      EXPECT_TRUE(near->read(soon())->empty());
    }
    {
      auto [near, far] = connect(network);
      ping_pong(*near, *far, 20, 100, soon());
      near->abort();
      EXPECT_EQ(far->read(soon()).error(), Errc::broken);
      EXPECT_EQ(far->read(soon()).error(), Errc::broken);
    }
  });
}

TEST_F(RingMultishot, an_abort_wakes_the_reader_and_resets_the_peer) {
  const Counters counters = run({}, [&](RingNetwork& network, Scope& scope) {
    auto [near, far] = connect(network);
    ping_pong(*near, *far, 20, 100, soon());
    scope.spawn("reader", [&, s = far.get()] { EXPECT_EQ(s->read(soon()).error(), Errc::broken); });
    ASSERT_TRUE(ring().scheduler().sleep_for(milliseconds(1)));
    far->abort();
    scope.join();
    EXPECT_EQ(near->read(soon()).error(), Errc::broken);
  });
  EXPECT_GE(counters.resets_met, 1u);
}

TEST_F(RingMultishot, more_connections_than_provided_buffers_lose_nothing) {
  RingOptions options;
  options.provided_buffers = 4;
  const Counters counters = run(options, [&](RingNetwork& network, Scope& scope) {
    auto acceptor = network.listen(loopback, {});
    ASSERT_TRUE(acceptor.has_value());
    std::vector<std::unique_ptr<ByteStream>> ends;
    for (int i = 0; i < 40; ++i) {
      auto near = network.dial((*acceptor)->local(), {}, soon());
      ASSERT_TRUE(near.has_value());
      auto far = (*acceptor)->accept(soon());
      ASSERT_TRUE(far.has_value());
      ends.push_back(std::move(*near));
      ends.push_back(std::move(*far));
    }
    for (std::size_t i = 0; i < ends.size(); i += 2) {
      scope.spawn("far", [&, s = ends[i + 1].get()] {
        for (std::size_t got = 0; got < 20 * 200;) {
          auto slice = s->read(soon());
          ASSERT_TRUE(slice.has_value());
          ASSERT_TRUE(std::ranges::equal(slice->bytes(), pattern(slice->size(), got)));
          got += slice->size();
        }
      });
    }
    for (std::size_t round = 0; round < 20; ++round) {
      for (std::size_t i = 0; i < ends.size(); i += 2)
        ASSERT_TRUE(write_all(*ends[i], pattern(200, round * 200), soon()));
      ASSERT_TRUE(ring().scheduler().sleep_for(milliseconds(1)));
    }
    scope.join();
  });
  EXPECT_GT(counters.buffers_short, 0u);
}

TEST_F(RingMultishot, connections_that_wait_are_accepted_in_few_enters) {
  constexpr int connections = 200;
  const Counters counters = run(accepting(), [&](RingNetwork& network, Scope&) {
    auto acceptor = network.listen(loopback, {});
    ASSERT_TRUE(acceptor.has_value());
    std::vector<std::unique_ptr<ByteStream>> ends;
    for (int i = 0; i < connections; ++i) {
      auto near = network.dial((*acceptor)->local(), {}, soon());
      ASSERT_TRUE(near.has_value());
      ends.push_back(std::move(*near));
    }
    const std::uint64_t enters = ring().counters().enters;
    for (int i = 0; i < connections; ++i) {
      auto far = (*acceptor)->accept(soon());
      ASSERT_TRUE(far.has_value());
      EXPECT_EQ((*far)->peer(), ends[static_cast<std::size_t>(i)]->local());
      ends.push_back(std::move(*far));
    }
    EXPECT_LT(ring().counters().enters - enters, connections / 4);
  });
  EXPECT_EQ(counters.connections_accepted, connections);
}

TEST_F(RingMultishot, connections_that_nobody_accepts_are_reset_when_the_acceptor_goes) {
  run(accepting(), [&](RingNetwork& network, Scope&) {
    std::vector<std::unique_ptr<ByteStream>> near;
    {
      auto acceptor = network.listen(loopback, {});
      ASSERT_TRUE(acceptor.has_value());
      for (int i = 0; i < 100; ++i) {
        auto dialed = network.dial((*acceptor)->local(), {}, soon());
        ASSERT_TRUE(dialed.has_value());
        near.push_back(std::move(*dialed));
        if (i != 0) continue;
        ASSERT_TRUE((*acceptor)->accept(soon()).has_value());  // it goes on from here
      }
    }
    for (const auto& stream : near) EXPECT_EQ(stream->read(soon()).error(), Errc::broken);
  });
}

TEST_F(RingMultishot, a_zero_copy_write_returns_when_its_memory_is_free) {
  RingOptions options;
  options.zero_copy_min = 32 * 1024;
  const Counters counters = run(options, [&](RingNetwork& network, Scope& scope) {
    auto [near, far] = connect(network);
    constexpr std::size_t size = 300'000;
    scope.spawn("writer", [&, s = near.get()] {
      for (std::size_t i = 0; i < 10; ++i) {
        auto bytes = pattern(size, i * size);
        ASSERT_TRUE(write_all(*s, bytes, soon()));
        std::ranges::fill(bytes, std::byte{0xee});  // what the kernel would still send were wrong
      }
    });
    for (std::size_t got = 0; got < 10 * size;) {
      auto slice = far->read(soon());
      ASSERT_TRUE(slice.has_value());
      ASSERT_TRUE(std::ranges::equal(slice->bytes(), pattern(slice->size(), got)));
      got += slice->size();
    }
    scope.join();
  });
  EXPECT_GT(counters.zero_copy_writes, 0u);
}

}  // namespace
}  // namespace twinwire::real
