// SPDX-License-Identifier: Apache-2.0
// FramedListener, the rules that no scenario shows by itself: handshakes that end make room, ready connections are
// bounded, the end of the background scope ends accept, the first message keeps the reader's rules.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <functional>

#include "sim/sim_network.h"
#include "transport/tcp/tcp.h"

namespace twinwire {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct AcceptRig {
  StackPool stacks;
  sim::World world{{}, stacks};
  sim::SimNetwork& server = world.add_node("server");
  sim::SimNetwork& client = world.add_node("client");

  void run(const std::function<void(Scope&)>& body) {
    const sim::RunReport report = world.run([&](Scope& scope) { body(scope); });
    if (report.failure) std::rethrow_exception(report.failure);
    EXPECT_EQ(report.ending, sim::Ending::finished);
    EXPECT_EQ(report.leaked_buffers, 0U);
    EXPECT_EQ(report.leaked_sockets, 0U);
  }
  Deadline in(Duration d) { return client.clock().in(d); }

  Result<FramedConn> dial(const Address& address) {
    return Tcp::dial(client, address, {}, in(seconds(5)));
  }
};

Batch one(BufferPool& pool, std::size_t body) {
  Batch batch(1);
  auto message = MutableMessage::create(pool, Command::ping, body);
  if (message) batch.push(std::move(*message).freeze());
  return batch;
}

ConnOptions greeted() {
  ConnOptions options;
  options.accept_after_first_message = true;
  return options;
}

TEST(TcpAccept, handshakes_that_ended_make_room_without_evicting_anybody) {
  AcceptRig rig;
  rig.run([&](Scope& scope) {
    ConnOptions options = greeted();
    options.accept.handshakes_max = 2;
    auto listener = Tcp::listen(rig.server, scope, rig.server.address(), options);
    for (int i = 0; i < 20; ++i) {
      auto conn = rig.dial(listener->local());
      ASSERT_TRUE(conn.has_value());
      auto [reader, writer] = split(std::move(*conn));
      Batch batch = one(rig.client.buffers(), 10);
      ASSERT_TRUE(writer.send_batch(batch, rig.in(seconds(1))).has_value());
      ASSERT_TRUE(listener->accept(rig.in(seconds(1))).has_value());
    }
    EXPECT_EQ(listener->counters().handshakes_evicted, 0U);
    EXPECT_EQ(listener->counters().accepted, 20U);
    scope.cancel();
  });
}

TEST(TcpAccept, a_mute_peer_is_dropped_when_its_time_is_over_and_not_later) {
  AcceptRig rig;
  rig.run([&](Scope& scope) {
    ConnOptions options = greeted();
    options.accept.handshake_timeout = seconds(3);
    auto listener = Tcp::listen(rig.server, scope, rig.server.address(), options);
    auto mute = rig.client.dial(listener->local(), {}, rig.in(seconds(1)));
    ASSERT_TRUE(mute.has_value());
    const TimePoint connected = rig.client.clock().now();
    EXPECT_EQ((*mute)->read(rig.in(seconds(30))).error(), Error{Errc::broken});
    const Duration lasted = rig.client.clock().now() - connected;
    EXPECT_GE(lasted.count(), Duration(milliseconds(2900)).count());
    EXPECT_LE(lasted.count(), Duration(milliseconds(3100)).count());
    EXPECT_EQ(listener->counters().handshakes_failed, 1U);
    scope.cancel();
  });
}

TEST(TcpAccept, the_bound_on_handshakes_is_the_number_that_was_given) {
  AcceptRig rig;
  rig.run([&](Scope& scope) {
    ConnOptions options = greeted();
    options.accept.handshakes_max = 3;
    auto listener = Tcp::listen(rig.server, scope, rig.server.address(), options);
    std::vector<std::unique_ptr<ByteStream>> mute;
    for (std::uint64_t i = 1; i <= 5; ++i) {
      mute.push_back(std::move(*rig.client.dial(listener->local(), {}, rig.in(seconds(1)))));
      (void)rig.client.scheduler().sleep_for(milliseconds(10));
      EXPECT_EQ(listener->counters().handshakes_evicted, i <= 3 ? 0U : i - 3);
    }
    scope.cancel();
  });
}

TEST(TcpAccept, connections_that_nobody_accepts_stay_in_the_backlog_beyond_ready_max) {
  AcceptRig rig;
  rig.run([&](Scope& scope) {
    ConnOptions options;
    options.accept.ready_max = 3;
    auto listener = Tcp::listen(rig.server, scope, rig.server.address(), options);
    std::vector<FramedConn> conns;
    for (int i = 0; i < 10; ++i) {
      auto conn = rig.dial(listener->local());
      ASSERT_TRUE(conn.has_value());
      conns.push_back(std::move(*conn));
    }
    (void)rig.client.scheduler().sleep_for(milliseconds(10));
    EXPECT_EQ(listener->counters().accepted, 3U);
    ASSERT_TRUE(listener->accept(rig.in(seconds(1))).has_value());
    (void)rig.client.scheduler().sleep_for(milliseconds(10));
    EXPECT_EQ(listener->counters().accepted, 4U);
    conns.clear();
    scope.cancel();
  });
}

TEST(TcpAccept, the_end_of_the_background_scope_ends_accept) {
  AcceptRig rig;
  rig.run([&](Scope& scope) {
    std::optional<Error> error;
    run_scope(scope.scheduler(), [&](Scope& acceptors) {
      run_scope(scope.scheduler(), [&](Scope& background) {
        auto listener = std::make_shared<FramedListener>(
            std::move(*Tcp::listen(rig.server, background, rig.server.address(), {})));
        acceptors.spawn("accept", [&error, listener] {
          auto accepted = listener->accept(Deadline::never());
          if (!accepted) error = accepted.error();
        });
        (void)scope.scheduler().sleep_for(milliseconds(1));
        background.cancel();
      });
    });
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(*error, Error{Errc::shutting_down});
  });
}

TEST(TcpAccept, destroying_the_listener_resets_unfinished_handshakes_at_once) {
  AcceptRig rig;
  rig.run([&](Scope& scope) {
    run_scope(scope.scheduler(), [&](Scope& background) {
      std::optional<FramedListener> listener(
          std::move(*Tcp::listen(rig.server, background, rig.server.address(), greeted())));
      auto mute = rig.client.dial(listener->local(), {}, rig.in(seconds(1)));
      ASSERT_TRUE(mute.has_value());
      (void)rig.client.scheduler().sleep_for(milliseconds(1));
      listener.reset();
      const TimePoint destroyed = rig.client.clock().now();
      EXPECT_EQ((*mute)->read(rig.in(seconds(30))).error(), Error{Errc::broken});
      EXPECT_LT((rig.client.clock().now() - destroyed).count(), Duration(milliseconds(1)).count());
    });
  });
}

TEST(TcpAccept, the_first_message_obeys_the_readers_maximum_and_invalid_is_final) {
  AcceptRig rig;
  rig.run([&](Scope& scope) {
    auto listener = Tcp::listen(rig.server, scope, rig.server.address(), greeted());
    auto conn = rig.dial(listener->local());
    ASSERT_TRUE(conn.has_value());
    auto [reader, writer] = split(std::move(*conn));
    Batch batch = one(rig.client.buffers(), 1000);
    ASSERT_TRUE(writer.send_batch(batch, rig.in(seconds(1))).has_value());
    auto accepted = listener->accept(rig.in(seconds(1)));
    ASSERT_TRUE(accepted.has_value());
    auto [near, far] = split(std::move(accepted->first));
    EXPECT_EQ(near.read_message(header_size, rig.in(seconds(1))).error(), Error{Errc::invalid});
    EXPECT_EQ(near.read_message(default_max_message, rig.in(seconds(1))).error(),
              Error{Errc::invalid});
    Batch answer = one(rig.server.buffers(), 0);
    EXPECT_EQ(far.send_batch(answer, rig.in(seconds(1))).error(), Error{Errc::invalid});
    scope.cancel();
  });
}

// Memory runs out in the middle of a read, and comes back: nothing is lost.
TEST(FramedReader, no_resources_is_not_final) {
  struct Gate final : AllocationGate {
    bool admit(std::size_t bytes) noexcept override { return open || bytes < 20'000; }
    bool open = true;
  } gate;
  AcceptRig rig;
  rig.run([&](Scope& scope) {
    auto listener = Tcp::listen(rig.server, scope, rig.server.address(), {});
    auto conn = rig.dial(listener->local());
    ASSERT_TRUE(conn.has_value());
    auto [reader, writer] = split(std::move(*conn));
    auto accepted = listener->accept(rig.in(seconds(1)));
    ASSERT_TRUE(accepted.has_value());
    auto [near, far] = split(std::move(accepted->first));
    Batch batch = one(rig.client.buffers(), 100'000);
    rig.server.buffers().set_gate(&gate);
    ASSERT_TRUE(writer.send_batch(batch, rig.in(seconds(1))).has_value());
    gate.open = false;
    EXPECT_EQ(near.read_message(default_max_message, rig.in(seconds(1))).error(),
              Error{Errc::no_resources});
    gate.open = true;
    auto message = near.read_message(default_max_message, rig.in(seconds(1)));
    ASSERT_TRUE(message.has_value());
    EXPECT_EQ(message->size(), header_size + 100'000);
    rig.server.buffers().set_gate(nullptr);
    scope.cancel();
  });
}

}  // namespace
}  // namespace twinwire
