// SPDX-License-Identifier: Apache-2.0
// The bus by example, in the World: clients and replicas by id, refusals, the mesh, the end.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "props/bus_rig.h"

namespace twinwire::bus::bus_test {
namespace {

constexpr Duration forever = 10s;

// --- Clients -------------------------------------------------------------------------------------------------------

TEST(Bus, a_client_is_heard_and_answered) {
  with_clients(options_of(1), [](Clients& c) {
    c.handler.on_request = [&](ClientId from, const Message& request) {
      Message reply = message(c.server, request_id(request), Command::reply);
      EXPECT_TRUE(c.bus.send_to_client(from, reply).has_value());
      EXPECT_TRUE(reply.empty());
    };
    auto [reader, writer] = c.connect();
    for (std::uint64_t id = 1; id <= 3; ++id) c.send(writer, id);
    for (std::uint64_t id = 1; id <= 3; ++id) {
      const auto reply = reader.read_message(default_max_message, {});
      ASSERT_TRUE(reply.has_value());
      EXPECT_EQ(request_id(*reply), id);
    }
    EXPECT_EQ(c.handler.requests, (std::vector<std::uint64_t>{1, 2, 3}));
    ASSERT_EQ(c.handler.clients.size(), 1u);
    EXPECT_EQ(c.handler.clients[0], ClientId::of(0, 1));
    EXPECT_TRUE(writer.close(1s).has_value());
  });
}

TEST(Bus, a_client_that_goes_is_told_of_once_and_leaves_nothing) {
  with_clients(options_of(1), [](Clients& c) {
    {
      auto halves = c.connect();
      c.sleep(1ms);
      EXPECT_EQ(c.bus.clients(), 1u);
    }
    c.sleep(1ms);
    EXPECT_EQ(c.bus.clients(), 0u);
    EXPECT_EQ(c.bus.connections_alive(), 0u);
    ASSERT_EQ(c.handler.lost.size(), 1u);
    EXPECT_EQ(c.handler.lost[0].second, Errc::broken);
    EXPECT_EQ(c.bus.send_to_client(c.handler.clients[0], message(c.server, 1)).error(),
              Errc::not_connected);
  });
}

TEST(Bus, a_full_queue_refuses_and_leaves_the_message_to_the_caller) {
  BusOptions options = options_of(1);
  options.queue_max = 4;
  with_clients(options, [](Clients& c) {
    auto halves = c.connect();
    c.sleep(1ms);
    const ClientId id = c.handler.clients.at(0);
    const std::uint64_t runs = c.world.scheduler().runs();
    for (int i = 0; i < 4; ++i)
      EXPECT_TRUE(c.bus.send_to_client(id, message(c.server, 1)).has_value());
    Message fifth = message(c.server, 5);
    EXPECT_EQ(c.bus.send_to_client(id, fifth).error(), Errc::backpressure);
    EXPECT_EQ(request_id(fifth), 5u);
    EXPECT_EQ(c.world.scheduler().runs(), runs);
    EXPECT_EQ(c.bus.counters().backpressure, 1u);
  });
}

TEST(Bus, who_has_no_route_is_unreachable) {
  with_clients(options_of(1), [](Clients& c) {
    EXPECT_EQ(c.bus.send_to_replica(9, message(c.server, 1)).error(), Errc::unreachable);
    EXPECT_EQ(c.bus.send_to_replica(1, message(c.server, 1)).error(), Errc::unreachable);
    EXPECT_EQ(c.bus.send_to_replica(2, message(c.server, 1)).error(), Errc::not_connected);
    EXPECT_EQ(c.bus.send_to_client(ClientId::of(7, 1), message(c.server, 1)).error(),
              Errc::unreachable);
    Message forwarded = message(c.server, 1);
    EXPECT_EQ(c.bus.deliver_forwarded(ClientId::of(7, 1), forwarded).error(), Errc::not_connected);
  });
}

TEST(Bus, a_handler_that_throws_costs_one_connection) {
  with_clients(options_of(1), [](Clients& c) {
    c.handler.on_request = [](ClientId, const Message& request) {
      if (request_id(request) == 13) throw 13;
    };
    auto [reader, writer] = c.connect();
    auto other = c.connect();
    c.send(writer, 13);
    EXPECT_FALSE(reader.read_message(default_max_message, {}).has_value());
    EXPECT_EQ(c.bus.clients(), 1u);
    EXPECT_EQ(c.bus.counters().handler_failures, 1u);
    ASSERT_EQ(c.handler.lost.size(), 1u);
    c.send(other.second, 14);
    c.sleep(1ms);
    EXPECT_EQ(c.handler.requests.back(), 14u);
  });
}

TEST(Bus, a_slow_handler_stops_the_reading_of_its_connection_only) {
  with_clients(options_of(1), [](Clients& c) {
    c.handler.on_request = [&](ClientId, const Message& request) {
      if (request_id(request) == 1) c.sleep(1s);
    };
    auto [reader, writer] = c.connect();
    auto other = c.connect();
    c.send(writer, 1);
    c.sleep(1ms);
    c.send(other.second, 2);
    c.send(writer, 3);
    c.sleep(1ms);
    EXPECT_EQ(c.handler.requests, (std::vector<std::uint64_t>{1, 2}));
    c.sleep(1s);
    EXPECT_EQ(c.handler.requests, (std::vector<std::uint64_t>{1, 2, 3}));
  });
}

TEST(Bus, disconnect_wakes_the_reader_and_frees_the_place) {
  with_clients(options_of(1), [](Clients& c) {
    auto [reader, writer] = c.connect();
    c.sleep(1ms);
    c.bus.disconnect(c.handler.clients.at(0));
    c.sleep(1ms);
    EXPECT_EQ(c.bus.connections_alive(), 0u);
    EXPECT_EQ(reader.read_message(default_max_message, {}).error(), Errc::broken);
    EXPECT_EQ(c.handler.lost.size(), 1u);
  });
}

TEST(Bus, a_shutdown_flushes_who_reads_and_drops_who_does_not) {
  with_clients(options_of(1), [](Clients& c) {
    auto [reader, writer] = c.connect();
    auto mute = c.connect();
    c.sleep(1ms);
    for (int i = 0; i < 200; ++i)
      for (const ClientId id : c.handler.clients)
        (void)c.bus.send_to_client(id, message(c.server, 1, Command::reply, 10'000));
    std::size_t got = 0;
    run_scope(c.world.scheduler(), [&](Scope& scope) {
      scope.spawn("client", [&, &r = reader, &w = writer] {
        while (r.read_message(default_max_message, {})) ++got;
        EXPECT_TRUE(w.close(1s).has_value());
      });
      const TimePoint begun = c.world.now();
      const ShutdownOutcome outcome = c.bus.shut_down();
      EXPECT_EQ(outcome.clean, 1u);
      EXPECT_EQ(outcome.forced, 1u);
      EXPECT_EQ(c.world.now() - begun, 2s);
    });
    EXPECT_EQ(got, 200u);
    EXPECT_EQ(c.bus.send_to_client(c.handler.clients[0], message(c.server, 1)).error(),
              Errc::shutting_down);
  });
}

TEST(Bus, options_that_cannot_be_are_refused_in_a_sentence) {
  sim::expect_clean(
      sim::run_nodes({}, [](sim::World&, sim::SimNetwork& server, sim::SimNetwork&, Scope&) {
        Recorder handler;
        for (const std::size_t batch : {0u, 513u}) {
          BusOptions options;
          options.max_batch = batch;
          std::string_view why;
          EXPECT_EQ(Bus::create(server, options, handler, &why).error(), Errc::invalid);
          EXPECT_TRUE(why.starts_with("max_batch is")) << why;
        }
      }));
}

// --- Replicas ------------------------------------------------------------------------------------------------------

TEST(Bus, replicas_that_all_listen_and_dial_end_with_one_connection_each) {
  with_nodes([](sim::World& world, sim::SimNetwork& a, sim::SimNetwork& b, sim::SimNetwork& c) {
    Replica one(a, 1), two(b, 2), three(c, 3);
    const std::vector<Member> members{one.member(), two.member(), three.member()};
    for (Replica* replica : {&one, &two, &three}) replica->join(members);
    (void)world.scheduler().sleep_for(10ms);
    for (Replica* replica : {&one, &two, &three}) {
      EXPECT_EQ(replica->bus->replicas(), 2u);
      EXPECT_EQ(replica->bus->counters().connected, 2u);
    }
    EXPECT_TRUE(one.bus->send_to_replica(3, message(a, 5, Command::prepare)).has_value());
    EXPECT_TRUE(three.bus->send_to_replica(1, message(c, 6, Command::prepare_ok)).has_value());
    // Heartbeats keep it up, and reach no handler.
    (void)world.scheduler().sleep_for(1min);
    EXPECT_EQ(three.handler.from_replicas,
              (std::vector<std::pair<ReplicaId, std::uint32_t>>{{1, 5}}));
    EXPECT_EQ(one.handler.from_replicas,
              (std::vector<std::pair<ReplicaId, std::uint32_t>>{{3, 6}}));
    EXPECT_EQ(one.bus->counters().connected, 2u);
    for (Replica* replica : {&one, &two, &three}) (void)replica->bus->shut_down();
    EXPECT_EQ(one.handler.lost_replicas.size(), 2u);
  });
}

TEST(Bus, a_replica_with_another_key_reaches_no_handler) {
  with_nodes([](sim::World& world, sim::SimNetwork& a, sim::SimNetwork& b, sim::SimNetwork&) {
    Replica one(a, 1, 8), two(b, 2, 7);
    one.join({two.member()});
    (void)world.scheduler().sleep_for(20s);
    EXPECT_EQ(two.bus->replicas() + one.bus->replicas(), 0u);
    EXPECT_GE(two.bus->counters().unauthenticated, 3u);
    EXPECT_TRUE(two.handler.replicas.empty());
    (void)one.bus->shut_down();
    (void)two.bus->shut_down();
  });
}

TEST(Bus, of_two_connections_of_a_replica_the_younger_is_dropped) {
  with_nodes([](sim::World& world, sim::SimNetwork& a, sim::SimNetwork& b, sim::SimNetwork& c) {
    Replica one(a, 1), two(b, 2), twin(c, 1);
    one.join({two.member()});
    (void)world.scheduler().sleep_for(10ms);
    twin.join({two.member()});
    (void)world.scheduler().sleep_for(200ms);
    EXPECT_EQ(two.bus->counters().duplicates, 1u);
    EXPECT_EQ(two.bus->connections_alive(), 1u);
    EXPECT_EQ(twin.bus->replicas(), 0u);
    EXPECT_TRUE(one.bus->is_connected(ReplicaId{2}));
    EXPECT_TRUE(two.handler.lost_replicas.empty());
    for (Replica* replica : {&one, &two, &twin}) (void)replica->bus->shut_down();
  });
}

TEST(Bus, a_late_clean_up_leaves_the_newer_connection_alone) {
  with_nodes([](sim::World& world, sim::SimNetwork& a, sim::SimNetwork& b, sim::SimNetwork&) {
    Replica one(a, 1), two(b, 2);
    two.handler.on_replica_request = [&] { (void)world.scheduler().sleep_for(forever); };
    one.join({two.member()});
    (void)world.scheduler().sleep_for(10ms);
    (void)one.bus->send_to_replica(2, message(a, 1, Command::prepare));
    (void)world.scheduler().sleep_for(10ms);
    two.bus->disconnect(ReplicaId{1});
    (void)world.scheduler().sleep_for(7s);
    EXPECT_EQ(two.bus->connections_alive(), 2u);
    EXPECT_TRUE(two.bus->is_connected(ReplicaId{1}));
    (void)world.scheduler().sleep_for(forever);
    EXPECT_EQ(two.bus->connections_alive(), 1u);
    EXPECT_TRUE(two.bus->is_connected(ReplicaId{1}));
    EXPECT_EQ(two.handler.lost_replicas.size(), 1u);
    (void)one.bus->shut_down();
    (void)two.bus->shut_down();
  });
}

TEST(Bus, mute_newcomers_are_bounded_in_number_and_time) {
  with_nodes([](sim::World& world, sim::SimNetwork& a, sim::SimNetwork& b, sim::SimNetwork& c) {
    Replica two(b, 2, 7, [](BusOptions& options) { options.handshakes_max = 4; });
    std::vector<std::unique_ptr<ByteStream>> mute;
    for (int i = 0; i < 6; ++i) mute.push_back(std::move(*c.dial(b.address(sim::port), {}, {})));
    (void)world.scheduler().sleep_for(1ms);
    EXPECT_EQ(two.bus->handshakes_unfinished(), 4u);
    Replica one(a, 1);
    one.join({two.member()});
    (void)world.scheduler().sleep_for(10ms);
    EXPECT_TRUE(two.bus->is_connected(ReplicaId{1}));
    (void)world.scheduler().sleep_for(forever);
    EXPECT_EQ(two.bus->handshakes_unfinished(), 0u);
    (void)one.bus->shut_down();
    (void)two.bus->shut_down();
  });
}

// Also where it was accepted at that very instant, and its fiber is ready and has not run: the seed decides.
TEST(Bus, a_mute_newcomer_at_the_moment_of_the_shutdown_does_not_hold_it_up) {
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    for (int offset = 0; offset < 200; ++offset)
      sim::expect_clean(sim::run_nodes(
          {.seed = seed},
          [&](sim::World& world, sim::SimNetwork& server, sim::SimNetwork& client, Scope& scope) {
            Replica two(server, 2);
            std::unique_ptr<ByteStream> mute;
            scope.spawn("mute", [&] {
              if (auto dialed = client.dial(server.address(sim::port), {}, {}))
                mute = std::move(*dialed);
            });
            (void)world.scheduler().sleep_for(offset * 1us);
            const TimePoint begun = world.now();
            (void)two.bus->shut_down();
            EXPECT_LE(world.now() - begun, 3 * two.bus->options().drain_limit)
                << "seed " << seed << ", after " << offset << " us";
            scope.join();
          }));
}

TEST(Bus, background_work_that_has_not_run_yet_is_forced_too) {
  sim::expect_clean(
      sim::run_nodes({}, [](sim::World& world, sim::SimNetwork& server, sim::SimNetwork&, Scope&) {
        Recorder handler;
        auto bus = std::move(*Bus::create(server, options_of(1), handler));
        const auto work = [&] { (void)world.scheduler().sleep_for(1h); };
        EXPECT_TRUE(bus->spawn_background("just begun", work).has_value());
        const TimePoint begun = world.now();
        EXPECT_EQ(bus->shut_down().background_forced, 1u);
        EXPECT_LE(world.now() - begun, 3 * bus->options().drain_limit);
      }));
}

TEST(Bus, background_work_that_does_not_end_is_forced) {
  with_clients(options_of(1), [](Clients& c) {
    (void)c.bus.spawn_background("ends", [&] { (void)c.bus.shutdown_token().wait({}); });
    (void)c.bus.spawn_background("goes on", [&] { c.sleep(1h); });
    const ShutdownOutcome outcome = c.bus.shut_down();
    EXPECT_EQ(outcome.background_clean, 1u);
    EXPECT_EQ(outcome.background_forced, 1u);
  });
}

}  // namespace
}  // namespace twinwire::bus::bus_test
