// SPDX-License-Identifier: Apache-2.0
// The end of a bus by example: what the trigger stops at once, though the drain takes its time; and what is told of who
// was connected.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "props/bus_rig.h"

namespace twinwire::bus::bus_test {
namespace {

// A client that takes nothing: its bus drains for drain_limit.
struct MuteClient {
  explicit MuteClient(Scheduler& scheduler) : acts(scheduler), visitors(scheduler) {
    acts.send = [this](Batch&, Deadline deadline) { return Result<void>(acts.wait(deadline)); };
  }
  void connect(Bus& bus, Network& node) {
    EXPECT_TRUE(bus.open(visitors.door<Link>()).has_value());
    visitors.enter(acts);
    (void)bus.scheduler().sleep_for(1ms);
    EXPECT_TRUE(bus.send_to_client(ClientId::of(0, 1), message(node, 1)).has_value());
  }
  Acts acts;
  Visitors visitors;
};

TEST(BusEnd, who_was_drained_is_lost_to_the_shutdown_whether_it_took_all_or_not) {
  with_node([](sim::World& world, sim::SimNetwork& node) {
    Recorder handler;
    MuteClient mute(world.scheduler());
    Acts well(world.scheduler()), replica(world.scheduler());
    replica.authenticate = [](Deadline) { return Result<ReplicaId>(ReplicaId{1}); };
    Visitors clients(world.scheduler()), replicas(world.scheduler());
    auto bus = std::move(*Bus::create(node, options_of(2), handler));
    mute.connect(*bus, node);
    ASSERT_TRUE(bus->open(clients.door<Link>()).has_value());
    ASSERT_TRUE(bus->open(replicas.door<ReplicaLink>()).has_value());
    clients.enter(well);
    replicas.enter(replica);
    (void)world.scheduler().sleep_for(1ms);
    ASSERT_EQ(handler.clients.size(), 2u);
    ASSERT_EQ(handler.replicas.size(), 1u);
    const ShutdownOutcome outcome = bus->shut_down();
    EXPECT_EQ(outcome.clean, 2u);
    EXPECT_EQ(outcome.forced, 1u);
    ASSERT_EQ(handler.lost.size(), 2u);
    for (const auto& [id, why] : handler.lost) EXPECT_EQ(why, Errc::shutting_down) << id.low;
    ASSERT_EQ(handler.lost_replicas.size(), 1u);
    EXPECT_EQ(handler.lost_replicas[0].second, Errc::shutting_down);
  });
}

TEST(BusEnd, a_drain_is_over_with_the_last_connection_and_not_with_its_bound) {
  with_clients(options_of(1), [](Clients& c) {
    auto first = c.connect();
    auto last = c.connect();
    c.sleep(1ms);
    const auto read_to_end = [&](std::pair<Tcp::Reader, Tcp::Writer>& halves, Duration pause) {
      EXPECT_EQ(halves.first.read_message(default_max_message, {}).error(), Errc::closed);
      c.sleep(pause);
      EXPECT_TRUE(halves.second.close(1s).has_value());
    };
    run_scope(c.world.scheduler(), [&](Scope& scope) {
      scope.spawn("first", [&] { read_to_end(first, 100ms); });
      scope.spawn("last", [&] { read_to_end(last, 200ms); });
      const TimePoint begun = c.world.now();
      EXPECT_EQ(c.bus.shut_down().clean, 2u);
      EXPECT_GE(c.world.now() - begun, 200ms);
      EXPECT_LE(c.world.now() - begun, 210ms);
    });
  });
}

TEST(BusEnd, who_breaks_off_during_the_drain_counts_as_forced_and_holds_nobody_up) {
  with_clients(options_of(1), [](Clients& c) {
    std::optional<std::pair<Tcp::Reader, Tcp::Writer>> halves = c.connect();
    c.sleep(1ms);
    for (int i = 0; i < 200; ++i)
      (void)c.bus.send_to_client(c.handler.clients.at(0),
                                 message(c.server, 1, Command::reply, 10'000));
    run_scope(c.world.scheduler(), [&](Scope& scope) {
      scope.spawn("client", [&] {
        c.sleep(100ms);
        halves.reset();
      });
      const TimePoint begun = c.world.now();
      const ShutdownOutcome outcome = c.bus.shut_down();
      EXPECT_EQ(outcome.clean, 0u);
      EXPECT_EQ(outcome.forced, 1u);
      EXPECT_LE(c.world.now() - begun, 110ms);
    });
  });
}

TEST(BusEnd, the_trigger_stops_handshakes_and_dials_at_once_though_clients_are_drained_first) {
  with_node([](sim::World& world, sim::SimNetwork& node) {
    Recorder handler;
    MuteClient mute(world.scheduler());
    Acts coming(world.scheduler()), dialed(world.scheduler());
    Visitors replicas(world.scheduler());
    auto bus = std::move(*Bus::create(node, options_of(2), handler));
    mute.connect(*bus, node);
    std::vector<Errc> ended;
    for (Acts* acts : {&coming, &dialed})
      acts->authenticate = [&, acts](Deadline deadline) -> Result<ReplicaId> {
        ended.push_back(acts->wait(deadline));
        return ended.back();
      };
    ASSERT_TRUE(bus->open(replicas.door<ReplicaLink>()).has_value());
    replicas.enter(coming);
    const std::vector<Member> members{{3, {}}};
    ASSERT_TRUE(bus->join(std::make_unique<ActedDialer>([&](Deadline) -> ActedDialer::Dialed {
                            return std::make_unique<ActedLink>(dialed);
                          }),
                          members)
                    .has_value());
    (void)world.scheduler().sleep_for(1ms);
    EXPECT_EQ(bus->handshakes_unfinished(), 1u);
    EXPECT_TRUE(ended.empty());
    bus->trigger_shutdown();
    (void)world.scheduler().sleep_for(1ms);
    EXPECT_EQ(bus->handshakes_unfinished(), 0u);
    EXPECT_EQ(ended, (std::vector<Errc>{Errc::canceled, Errc::canceled}));
    EXPECT_EQ(bus->clients(), 1u);
    EXPECT_EQ(bus->shut_down().forced, 1u);
  });
}

TEST(BusEnd, background_work_that_throws_has_ended) {
  with_node([](sim::World& world, sim::SimNetwork& node) {
    Recorder handler;
    auto bus = std::move(*Bus::create(node, options_of(1), handler));
    EXPECT_TRUE(bus->spawn_background("throws at once", [] { throw 13; }).has_value());
    (void)world.scheduler().sleep_for(1ms);
    EXPECT_TRUE(bus->spawn_background("throws at the end",
                                      [&] {
                                        (void)bus->shutdown_token().wait(Deadline::never());
                                        throw 13;
                                      })
                    .has_value());
    (void)world.scheduler().sleep_for(1ms);
    const TimePoint begun = world.now();
    const ShutdownOutcome outcome = bus->shut_down();
    EXPECT_EQ(outcome.background_clean, 1u);
    EXPECT_EQ(outcome.background_forced, 0u);
    EXPECT_LE(world.now() - begun, 1ms);
  });
}

// It was accepted at that very instant, and the trigger saw nobody who could be told to stop.
TEST(BusEnd,
     a_newcomer_at_the_moment_of_the_trigger_is_turned_away_though_clients_are_drained_first) {
  with_node([](sim::World& world, sim::SimNetwork& node) {
    Recorder handler;
    MuteClient mute(world.scheduler());
    Acts coming(world.scheduler());
    bool listened_to = false;
    coming.authenticate = [&](Deadline deadline) -> Result<ReplicaId> {
      listened_to = true;
      return coming.wait(deadline);
    };
    Event now(world.scheduler());
    auto bus = std::move(*Bus::create(node, options_of(2), handler));
    mute.connect(*bus, node);
    ASSERT_TRUE(bus->open(std::make_unique<ActedDoor<ReplicaLink>>(
                              [&](Deadline deadline) -> ActedDoor<ReplicaLink>::Newcomer {
                                if (bus->stopping()) return Errc::canceled;
                                if (auto there = now.wait(deadline); !there) return there.error();
                                bus->trigger_shutdown();
                                return std::pair<std::unique_ptr<ReplicaLink>, Address>(
                                    std::make_unique<ActedLink>(coming), Address{});
                              }))
                    .has_value());
    now.set();
    (void)bus->shutdown_token().wait(Deadline::never());
    (void)world.scheduler().sleep_for(1ms);
    EXPECT_FALSE(listened_to);
    EXPECT_EQ(bus->handshakes_unfinished(), 0u);
    EXPECT_EQ(bus->clients(), 1u);
    (void)bus->shut_down();
    EXPECT_EQ(bus->counters().unauthenticated, 0u);
  });
}

}  // namespace
}  // namespace twinwire::bus::bus_test
