// SPDX-License-Identifier: Apache-2.0
// Nodes that are killed, lose power, start again and stand still: what their peers see of it.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <cerrno>

#include "props/sim_node_rig.h"

namespace twinwire::sim {
namespace {

// --- A killed program ----------------------------------------------------------------------------------------------

TEST(sim_node, a_killed_program_ends_its_connections_with_fin) {
  const RunReport report = beside(
      {}, [](World& w) { return holder(w); },
      [](World& world, Node& server, SimNetwork& client) {
        auto stream = dial(client, server);
        (void)world.scheduler().sleep_for(1ms);
        server.crash(10ms);
        const TimePoint killed = world.now();
        const auto end = stream->read({});
        ASSERT_TRUE(end.has_value());
        EXPECT_TRUE(end->empty());
        EXPECT_EQ(world.now() - killed, latency);
        // A first write succeeds, and is answered by RST.
        EXPECT_TRUE(write_all(*stream, pattern(10)).has_value());
        (void)world.scheduler().sleep_for(1ms);
        EXPECT_EQ(write_all(*stream, pattern(1)).error(), (Error{Errc::broken, EPIPE}));
      });
  expect_clean(report);
}

TEST(sim_node, a_killed_program_that_left_bytes_unread_resets) {
  const RunReport report = beside(
      {}, [](World& w) { return holder(w); },
      [](World& world, Node& server, SimNetwork& client) {
        auto stream = dial(client, server);
        EXPECT_TRUE(write_all(*stream, pattern(10)).has_value());
        (void)world.scheduler().sleep_for(1ms);
        server.crash(10ms);
        const TimePoint killed = world.now();
        EXPECT_EQ(stream->read({}).error(), (Error{Errc::broken, ECONNRESET}));
        EXPECT_EQ(world.now() - killed, latency);
      });
  expect_clean(report);
}

constexpr std::size_t written_size = 40'000;  // more than the client's receive buffer

// Writes that much to whoever comes first.
Node::Program writer(World& world) {
  return [&world](SimNetwork& network) {
    auto acceptor = network.listen(network.address(port), {});
    auto stream = (*acceptor)->accept({});
    if (!stream) return;
    (void)write_all(**stream, pattern(written_size));
    (void)world.scheduler().sleep_for(1h);
  };
}

TEST(sim_node, what_a_killed_program_had_written_still_arrives) {
  const RunReport report = beside({}, writer, [](World& world, Node& server, SimNetwork& client) {
    auto stream = client.dial(server.network().address(port), {.receive_buffer = 10'000}, {});
    (void)world.scheduler().sleep_for(1ms);
    server.crash(10ms);
    EXPECT_EQ(read_to_end(**stream), pattern(written_size));
  });
  expect_clean(report);
}

TEST(sim_node, a_killed_program_is_refused_until_it_listens_again) {
  const RunReport report = beside(
      {}, [](World& w) { return holder(w); },
      [](World& world, Node& server, SimNetwork& client) {
        server.crash(10ms);
        const Address address = server.network().address(port);
        EXPECT_EQ(client.dial(address, {}, {}).error(), Errc::refused);
        (void)world.scheduler().sleep_for(20ms);
        EXPECT_EQ(server.incarnations(), 2u);
        EXPECT_TRUE(client.dial(address, {}, {}).has_value());
      });
  expect_clean(report);
}

TEST(sim_node, who_waits_in_the_backlog_of_a_killed_program_is_reset) {
  const auto deaf = [](World& world) -> Node::Program {
    return [&world](SimNetwork& network) {
      auto acceptor = network.listen(network.address(port), {});
      (void)world.scheduler().sleep_for(1h);
    };
  };
  const RunReport report = beside({}, deaf, [](World& world, Node& server, SimNetwork& client) {
    auto waiting = dial(client, server);
    auto opening = dial(client, server);  // its last step is still on its way
    server.crash(10ms);
    EXPECT_EQ(waiting->read({}).error(), (Error{Errc::broken, ECONNRESET}));
    EXPECT_EQ(opening->read({}).error(), (Error{Errc::broken, ECONNRESET}));
    EXPECT_LT(world.now().ns, 2'000'000);
  });
  expect_clean(report);
}

// --- Severed -------------------------------------------------------------------------------------------------------

TEST(sim_node, whatever_a_severed_program_calls_is_canceled_and_without_effect) {
  int calls = 0;
  const auto stubborn = [&calls](World& world) -> Node::Program {
    return [&world, &calls](SimNetwork& network) {
      if (network.node().incarnations() > 1) return;
      auto acceptor = *network.listen(network.address(port), {});
      auto socket = *network.bind(network.address(port), {});
      auto stream = *acceptor->accept({});
      Disk::File disk = network.node().disk().file();
      // Not even a shield makes a call wait.
      const CancelShield shield(world.scheduler());
      EXPECT_EQ(stream->read({}).error(), Errc::canceled);
      EXPECT_TRUE(network.severed());
      EXPECT_EQ(stream->read({}).error(), Errc::canceled);
      std::byte one{};
      EXPECT_EQ(stream->read_into({&one, 1}, {}).error(), Errc::canceled);
      EXPECT_EQ(write_all(*stream, pattern(5)).error(), Errc::canceled);
      EXPECT_EQ(stream->shutdown_write({}).error(), Errc::canceled);
      stream->abort();
      EXPECT_EQ(acceptor->accept({}).error(), Errc::canceled);
      EXPECT_EQ(socket->receive({}).error(), Errc::canceled);
      const Bytes bytes = pattern(5);
      const Datagram datagram{.remote = Address::v4(10, 0, 0, 2, port), .bytes = bytes};
      EXPECT_EQ(socket->send({&datagram, 1}, {}).error(), Errc::canceled);
      EXPECT_EQ(network.listen(network.address(port), {}).error(), Errc::canceled);
      EXPECT_EQ(network.bind(network.address(port), {}).error(), Errc::canceled);
      EXPECT_EQ(network.dial(Address::v4(10, 0, 0, 2, port), {}, {}).error(), Errc::canceled);
      EXPECT_EQ(disk.append("late").error(), Errc::canceled);
      EXPECT_EQ(disk.sync(world.scheduler()).error(), Errc::canceled);
      ++calls;
    };
  };
  const RunReport report = beside({}, stubborn, [](World& world, Node& server, SimNetwork& client) {
    auto socket = *client.bind(client.address(port), {});
    auto acceptor = *client.listen(client.address(port), {});
    auto stream = dial(client, server);
    (void)world.scheduler().sleep_for(1ms);
    server.crash(1ms);
    // The end, and nothing before or behind it: no byte, no reset by abort().
    EXPECT_TRUE(read_to_end(*stream).empty());
    EXPECT_EQ(socket->receive({world.now() + 10ms}).error(), Errc::timed_out);
    EXPECT_EQ(acceptor->accept({world.now() + 10ms}).error(), Errc::timed_out);
    EXPECT_TRUE(server.disk().records().empty());
  });
  EXPECT_EQ(calls, 1);
  expect_clean(report);
}

TEST(sim_node, a_dial_of_a_killed_program_ends_at_once) {
  bool ended = false;
  const auto dialer = [&ended](World& world) -> Node::Program {
    return [&world, &ended](SimNetwork& network) {
      if (network.node().incarnations() > 1) return;
      const CancelShield shield(world.scheduler());
      // Nobody is there: without a crash it would take a latency; with a black hole, minutes.
      EXPECT_EQ(network.dial(Address::v4(10, 0, 0, 2, port), {}, {}).error(), Errc::canceled);
      EXPECT_EQ(world.now().ns, 1'000'000);
      ended = true;
    };
  };
  const RunReport report = beside(plan("connect_black_hole=1"), dialer,
                                  [](World&, Node& server, SimNetwork&) { server.crash(1ms); });
  EXPECT_TRUE(ended);
  expect_clean(report);
}

TEST(sim_node, fibers_of_a_program_belong_to_its_node_and_end_with_it) {
  int ended = 0;
  const auto many = [&ended](World& world) -> Node::Program {
    return [&world, &ended](SimNetwork& network) {
      if (network.node().incarnations() > 1) return;
      network.background().spawn("pump", [&] {
        EXPECT_EQ(world.scheduler().current().group, &network.node());
        EXPECT_FALSE(world.scheduler().sleep_for(1h).has_value());
        ++ended;
      });
      run_scope(world.scheduler(), [&](Scope& scope) {
        scope.spawn("child", [&] {
          EXPECT_EQ(world.scheduler().current().group, &network.node());
          EXPECT_FALSE(world.scheduler().sleep_for(1h).has_value());
          ++ended;
        });
      });
    };
  };
  const RunReport report = beside({}, many, [&](World& world, Node& server, SimNetwork&) {
    EXPECT_EQ(world.scheduler().current().group, nullptr);
    server.crash(1ms);
    (void)world.scheduler().sleep_for(1ns);
    EXPECT_EQ(ended, 2);
  });
  expect_clean(report);
}

// --- Power ---------------------------------------------------------------------------------------------------------

TEST(sim_node, a_node_without_power_is_silent_and_resets_once_it_is_back) {
  const RunReport report = beside(
      {}, [](World& w) { return holder(w); },
      [](World& world, Node& server, SimNetwork& client) {
        auto stream = dial(client, server);
        (void)world.scheduler().sleep_for(1ms);
        server.lose_power(500ms);
        const TimePoint lost = world.now();
        EXPECT_EQ(stream->read({lost + 100ms}).error(), Errc::timed_out) << "no end, no reset";
        // Sent again 200 and 600 ms later; the second one meets the new kernel.
        EXPECT_TRUE(write_all(*stream, pattern(10)).has_value());
        EXPECT_EQ(stream->read({}).error(), (Error{Errc::broken, ECONNRESET}));
        EXPECT_EQ(world.now() - lost, 700ms + 2 * latency);
      });
  expect_clean(report);
}

TEST(sim_node, what_is_on_its_way_when_the_power_goes_is_sent_again) {
  const RunReport report = beside(
      {}, [](World& w) { return holder(w); },
      [](World& world, Node& server, SimNetwork& client) {
        auto stream = dial(client, server);
        (void)world.scheduler().sleep_for(1ms);
        EXPECT_TRUE(write_all(*stream, pattern(10)).has_value());
        EXPECT_TRUE(stream->shutdown_write({}).has_value());
        server.lose_power(100ms);
        const TimePoint lost = world.now();
        EXPECT_EQ(stream->read({}).error(), (Error{Errc::broken, ECONNRESET}));
        EXPECT_EQ(world.now() - lost, 200ms + 2 * latency);
      });
  expect_clean(report);
}

TEST(sim_node, who_has_nothing_to_say_never_learns_that_the_power_was_gone) {
  const RunReport report = beside(
      {}, [](World& w) { return holder(w); },
      [](World& world, Node& server, SimNetwork& client) {
        auto stream = dial(client, server);
        (void)world.scheduler().sleep_for(1ms);
        server.lose_power(10ms);
        EXPECT_EQ(stream->read({world.now() + 1h}).error(), Errc::timed_out);
      });
  expect_clean(report);
}

TEST(sim_node, who_loses_power_while_it_connects_leaves_its_place_in_the_backlog) {
  // The last step of the handshake is lost in an outage, and its sender dies before it would send it again.
  const auto dialer = [](World& world) -> Node::Program {
    return [&world](SimNetwork& network) {
      if (network.node().incarnations() > 1) return;
      (void)world.scheduler().sleep_until(TimePoint{2'000'000});
      auto stream = network.dial(Address::v4(10, 0, 0, 2, port), {}, {});
      EXPECT_TRUE(stream.has_value());
      (void)world.scheduler().sleep_for(1h);
    };
  };
  const RunReport report =
      beside(plan("partition_one_way@server>client=1/2080us..100ms"), dialer,
             [](World& world, Node& server, SimNetwork& client) {
               auto acceptor = *client.listen(client.address(port), {.backlog = 0});
               (void)world.scheduler().sleep_until(TimePoint{5'000'000});
               server.lose_power(1s);
               EXPECT_EQ(acceptor->accept({world.now() + 5s}).error(), Errc::timed_out);
               EXPECT_TRUE(client.dial(client.address(port), {}, {world.now() + 1ms}).has_value());
             });
  expect_clean(report);
}

TEST(sim_node, power_that_never_comes_back_times_the_peer_out) {
  const RunReport report = beside(
      {}, [](World& w) { return holder(w); },
      [](World& world, Node& server, SimNetwork& client) {
        auto stream = dial(client, server);
        (void)world.scheduler().sleep_for(1ms);
        server.lose_power(5h);
        EXPECT_TRUE(write_all(*stream, pattern(10)).has_value());
        EXPECT_EQ(stream->read({}).error(), (Error{Errc::broken, ETIMEDOUT}));
        EXPECT_EQ(world.now().ns / 1'000'000'000, 924);
      });
  expect_clean(report);
}

TEST(sim_node, a_connect_to_a_node_without_power_waits_for_it) {
  const RunReport report = beside(
      {}, [](World& w) { return holder(w); },
      [](World& world, Node& server, SimNetwork& client) {
        server.lose_power(1500ms);
        const TimePoint lost = world.now();
        (void)dial(client, server);
        EXPECT_EQ(world.now() - lost, 3s + 2 * latency);
      });
  expect_clean(report);
}

TEST(sim_node, what_a_node_had_sent_before_its_power_went_arrives_and_no_more) {
  const RunReport report = beside({}, writer, [](World& world, Node& server, SimNetwork& client) {
    auto stream = client.dial(server.network().address(port), {.receive_buffer = 10'000}, {});
    (void)world.scheduler().sleep_for(1ms);
    server.lose_power(10ms);
    Bytes got;
    EXPECT_EQ(read_up_to(**stream, got, SIZE_MAX, {world.now() + 1min}).error(), Errc::timed_out);
    EXPECT_EQ(got, pattern(10'000)) << "what its kernel still held is gone";
  });
  expect_clean(report);
}

// --- Standing still ------------------------------------------------------------------------------------------------

TEST(sim_node, while_a_node_stands_still_its_kernel_takes_what_its_buffers_hold) {
  const RunReport report = beside(
      {}, [](World& w) { return holder(w, 0s); },
      [](World& world, Node& server, SimNetwork& client) {
        auto stream = dial(client, server);
        (void)world.scheduler().sleep_for(1ms);
        server.pause(1s);
        const TimePoint stopped = world.now();
        // Its receive buffer and the sender's own.
        EXPECT_EQ(*write_some(*stream, pattern(200'000)), 64u * 1024);
        (void)world.scheduler().sleep_for(1ms);
        EXPECT_EQ(*write_some(*stream, pattern(200'000)), 64u * 1024);
        EXPECT_EQ(write_some(*stream, pattern(1), 0, {stopped + 900ms}).error(), Errc::timed_out);
        // It goes on, reads, and tells of room; what waited is sent, and acknowledged.
        EXPECT_TRUE(write_some(*stream, pattern(1)).has_value());
        EXPECT_EQ(world.now() - stopped, 1s + 3 * latency);
      });
  expect_clean(report);
}

TEST(sim_node, the_deadlines_of_a_node_that_stands_still_pass_all_at_once) {
  std::vector<TimePoint> woken;
  const auto sleepers = [&woken](World& world) -> Node::Program {
    return [&world, &woken](SimNetwork&) {
      run_scope(world.scheduler(), [&](Scope& scope) {
        for (int i = 1; i <= 5; ++i)
          scope.spawn("sleeper", [&world, &woken, i] {
            (void)world.scheduler().sleep_until(TimePoint{0} + i * 10ms);
            woken.push_back(world.now());
          });
      });
    };
  };
  const RunReport report =
      beside(plan("pause@server=1/15ms..35ms"), sleepers,
             [](World& world, Node&, SimNetwork&) { (void)world.scheduler().sleep_for(100ms); });
  expect_clean(report);
  ASSERT_EQ(woken.size(), 5u);
  EXPECT_EQ(woken[0].ns, 10'000'000);
  EXPECT_EQ(woken[1].ns, 35'000'000);
  EXPECT_EQ(woken[2].ns, 35'000'000);
  EXPECT_EQ(woken[3].ns, 40'000'000);
  EXPECT_EQ(bit(report, Site::pause), 1u);
}

TEST(sim_node, a_node_that_stands_still_can_be_killed) {
  const RunReport report = beside(
      {}, [](World& w) { return holder(w); },
      [](World& world, Node& server, SimNetwork& client) {
        auto stream = dial(client, server);
        (void)world.scheduler().sleep_for(1ms);
        server.pause(1min);
        server.crash(1ms);
        EXPECT_TRUE(read_to_end(*stream).empty());
        (void)world.scheduler().sleep_for(5ms);
        EXPECT_EQ(server.incarnations(), 2u);
        EXPECT_FALSE(server.held);
      });
  expect_clean(report);
}

// --- What is left --------------------------------------------------------------------------------------------------

TEST(sim_node, only_what_was_synced_outlives_a_crash) {
  std::vector<std::size_t> found;
  const auto scribe = [&found](World& world) -> Node::Program {
    return [&world, &found](SimNetwork& network) {
      Disk::File disk = network.node().disk().file();
      found.push_back(disk.records().size());
      for (int i = 0; i < 3; ++i) EXPECT_TRUE(disk.append("synced").has_value());
      EXPECT_TRUE(disk.sync(world.scheduler()).has_value());
      for (int i = 0; i < 5; ++i) EXPECT_TRUE(disk.append("not synced").has_value());
      (void)world.scheduler().sleep_for(1h);
    };
  };
  const auto crash_twice = [](World& world, Node& server, SimNetwork&) {
    server.crash(1ms);
    (void)world.scheduler().sleep_for(5ms);
    server.lose_power(1ms);
    (void)world.scheduler().sleep_for(5ms);
  };
  expect_clean(beside({}, scribe, crash_twice));
  EXPECT_EQ(found, (std::vector<std::size_t>{0, 3, 6}));
  found.clear();
  const RunReport kept = beside(plan("unsynced_kept=1:2"), scribe, crash_twice);
  EXPECT_GT(found[1], 3u);
  EXPECT_LE(found[1], 5u);
  EXPECT_EQ(bit(kept, Site::unsynced_kept), 2u);
}

TEST(sim_node, a_sync_that_a_crash_meets_promises_nothing) {
  const auto scribe = [](World& world) -> Node::Program {
    return [&world](SimNetwork& network) {
      Disk::File disk = network.node().disk().file();
      EXPECT_TRUE(disk.append("one").has_value());
      const CancelShield shield(world.scheduler());
      if (network.node().incarnations() > 1) return;
      (void)world.scheduler().sleep_for(800us);
      EXPECT_EQ(disk.sync(world.scheduler()).error(), Errc::canceled);
    };
  };
  expect_clean(beside({}, scribe, [](World&, Node& server, SimNetwork&) {
    server.crash(10ms);
    EXPECT_TRUE(server.disk().records().empty());
  }));
}

TEST(sim_node, a_program_that_ends_by_itself_is_not_started_again) {
  int runs = 0;
  const RunReport report =
      run_nodes({}, [&](World& world, SimNetwork& server, SimNetwork&, Scope&) {
        server.node().run([&](SimNetwork&) {
          ++runs;
          (void)world.scheduler().sleep_for(1ms);
        });
        EXPECT_FALSE(server.node().running());
        server.node().crash(1ms);
        (void)world.scheduler().sleep_for(1s);
      });
  EXPECT_EQ(runs, 1);
  expect_clean(report);
}

}  // namespace
}  // namespace twinwire::sim
