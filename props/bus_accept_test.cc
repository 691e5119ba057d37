// SPDX-License-Identifier: Apache-2.0
// Who comes and to whom we go, by example: who may dial us, who makes room at the bound of handshakes, what a shortage
// of descriptors costs, how often the mesh is looked at.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "props/bus_rig.h"
#include "transport/ws/ws.h"

namespace twinwire::bus::bus_test {
namespace {

// --- Who comes -----------------------------------------------------------------------------------------------------

// Dials as `who`, with the key; and whether the other side, which is `whom`, took that for true.
bool is_believed(sim::SimNetwork& from, ReplicaId who, const Address& address, ReplicaId whom) {
  HandshakeMemory memory;
  auto conn = Tcp::dial(from, address, {}, {});
  EXPECT_TRUE(conn.has_value());
  auto [reader, writer] = split(std::move(*conn));
  const KeyedHandshake shake(handshake_options(memory, who));
  const auto proven = shake.dial(from, reader, writer, whom, {}, from.clock().in(5s));
  (void)reader.read_message(default_max_message, from.clock().in(1s));
  return proven.has_value();
}

TEST(BusAccept, who_has_the_key_and_is_no_member_or_is_ours_to_dial_is_turned_away) {
  with_nodes([](sim::World&, sim::SimNetwork& a, sim::SimNetwork& b, sim::SimNetwork&) {
    Replica two(b, 2);
    EXPECT_TRUE(is_believed(a, 3, b.address(sim::port), 2));
    EXPECT_EQ(two.bus->counters().unexpected, 1u) << "a higher id: we dial it";
    EXPECT_TRUE(is_believed(a, 0, b.address(sim::port), 2));
    EXPECT_EQ(two.bus->counters().unexpected, 2u) << "a lower one, of nobody";
    EXPECT_TRUE(two.handler.replicas.empty());
    EXPECT_EQ(two.bus->counters().connected, 0u);
    EXPECT_TRUE(is_believed(a, 1, b.address(sim::port), 2));
    EXPECT_EQ(two.handler.replicas, std::vector<ReplicaId>{1});
    (void)two.bus->shut_down();
  });
}

TEST(BusAccept, a_refusal_tells_which_peer_it_was) {
  with_nodes([](sim::World& world, sim::SimNetwork& a, sim::SimNetwork& b, sim::SimNetwork& c) {
    Replica one(a, 1, 8), two(b, 2, 7);
    const Address nowhere = c.address(sim::port);
    one.join({two.member(), {3, nowhere}});
    (void)world.scheduler().sleep_for(20s);
    // Who came from there has not proven who it is; who listens there could not be dialed.
    ASSERT_FALSE(two.handler.refused.empty());
    for (const auto& [peer, what] : two.handler.refused) {
      EXPECT_EQ(peer.ip, a.address().ip) << what;
      EXPECT_NE(peer.port, 0) << what;
    }
    const auto told_of = [&](const Address& address) {
      return std::ranges::count(one.handler.refused, address,
                                &std::pair<Address, std::string>::first);
    };
    EXPECT_GE(told_of(nowhere), 3);
    EXPECT_GE(told_of(two.member().address), 3);
    EXPECT_EQ(told_of(Address{}), 0);
    EXPECT_TRUE(is_believed(a, 3, b.address(sim::port), 2));
    EXPECT_EQ(two.handler.refused.back().second, "is nobody who may dial us");
    EXPECT_EQ(two.handler.refused.back().first.ip, a.address().ip);
    (void)one.bus->shut_down();
    (void)two.bus->shut_down();
  });
}

TEST(BusAccept, at_the_bound_the_oldest_handshake_makes_room) {
  with_node([](sim::World& world, sim::SimNetwork& node) {
    Recorder handler;
    Acts first(world.scheduler()), second(world.scheduler()), third(world.scheduler());
    std::vector<const Acts*> ended;
    for (Acts* acts : {&first, &second, &third})
      acts->authenticate = [acts, &ended](Deadline deadline) -> Result<ReplicaId> {
        const Errc why = acts->wait(deadline);
        ended.push_back(acts);
        return why;
      };
    Visitors visitors(world.scheduler());
    BusOptions options = options_of(2);
    options.handshakes_max = 2;
    auto bus = std::move(*Bus::create(node, options, handler));
    ASSERT_TRUE(bus->open(visitors.door<ReplicaLink>()).has_value());
    for (Acts* acts : {&first, &second, &third}) {
      EXPECT_TRUE(ended.empty());
      visitors.enter(*acts);
      (void)world.scheduler().sleep_for(1ms);
    }
    EXPECT_EQ(ended, std::vector<const Acts*>{&first});
    EXPECT_EQ(bus->handshakes_unfinished(), 2u);
    EXPECT_EQ(bus->counters().evicted, 1u);
    (void)world.scheduler().sleep_for(options.handshake_limit);
    EXPECT_EQ(ended.size(), 3u);
    EXPECT_EQ(bus->handshakes_unfinished(), 0u);
    EXPECT_EQ(bus->counters().unauthenticated, 3u);
    (void)bus->shut_down();
  });
}

// Both planes ask again at once only after a failure of one connection; of a shortage the pauses grow up to a second.
template <class L>
void expect_back_off() {
  with_node([](sim::World& world, sim::SimNetwork& node) {
    Recorder handler;
    Acts peer(world.scheduler());
    std::vector<TimePoint> asked;
    bool short_of = true;
    auto bus = std::move(*Bus::create(node, options_of(2), handler));
    const auto next = [&](Deadline deadline) -> typename ActedDoor<L>::Newcomer {
      asked.push_back(world.now());
      if (short_of && asked.size() < 1'000) return Errc::no_resources;
      return peer.wait(deadline);
    };
    ASSERT_TRUE(bus->open(std::make_unique<ActedDoor<L>>(next)).has_value());
    (void)world.scheduler().sleep_for(10s);
    EXPECT_LE(asked.size(), 20u);
    EXPECT_GE(asked.size(), 10u);
    for (std::size_t i = 1; i < asked.size(); ++i) {
      EXPECT_GE(asked[i] - asked[i - 1], 5ms);
      EXPECT_LE(asked[i] - asked[i - 1], 1s);
    }
    EXPECT_EQ(bus->counters().accept_errors, asked.size());
    short_of = false;
    const std::size_t before = asked.size();
    (void)world.scheduler().sleep_for(1s);
    EXPECT_EQ(asked.size(), before + 1) << "and then it accepts again";
    (void)bus->shut_down();
  });
}

TEST(BusAccept, without_descriptors_a_client_plane_pauses_and_goes_on) { expect_back_off<Link>(); }
TEST(BusAccept, without_descriptors_a_replica_plane_pauses_and_goes_on) {
  expect_back_off<ReplicaLink>();
}

TEST(BusAccept, the_failure_of_one_connection_costs_no_pause) {
  with_node([](sim::World& world, sim::SimNetwork& node) {
    Recorder handler;
    Acts peer(world.scheduler());
    int asked = 0;
    auto bus = std::move(*Bus::create(node, options_of(2), handler));
    ASSERT_TRUE(bus->open(std::make_unique<ActedDoor<Link>>(
                              [&](Deadline deadline) -> ActedDoor<Link>::Newcomer {
                                if (++asked <= 3) return Errc::broken;
                                return peer.wait(deadline);
                              }))
                    .has_value());
    (void)world.scheduler().sleep_for(1ms);
    EXPECT_EQ(asked, 4);
    EXPECT_EQ(bus->counters().accept_errors, 3u);
    (void)bus->shut_down();
  });
}

// What a transport has for a handshake of its own (here an upgrade) is bounded as those of replicas are.
TEST(BusAccept, the_handshakes_of_transports_are_bounded_by_the_options_of_the_bus) {
  sim::expect_clean(sim::run_nodes(
      {}, [](sim::World& world, sim::SimNetwork& server, sim::SimNetwork& client, Scope&) {
        Recorder handler;
        BusOptions options = options_of(1);
        options.handshakes_max = 2;
        options.handshake_limit = 3s;
        auto bus = std::move(*Bus::create(server, options, handler));
        const auto address = open_client_plane<Ws>(*bus, server.address(sim::port), {});
        ASSERT_TRUE(address.has_value());
        std::vector<std::unique_ptr<ByteStream>> mute;
        for (int i = 0; i < 3; ++i) {
          mute.push_back(std::move(*client.dial(*address, {}, {})));
          (void)world.scheduler().sleep_for(1ms);
        }
        EXPECT_EQ(mute[0]->read(client.clock().in(1ms)).error(), Errc::broken) << "it made room";
        EXPECT_EQ(mute[1]->read(client.clock().in(2s)).error(), Errc::timed_out);
        EXPECT_EQ(bus->counters().refused_by_transport, 1u);
        for (const std::size_t i : {1u, 2u}) {
          const auto end = mute[i]->read(client.clock().in(1500ms));
          EXPECT_TRUE(end.has_value() || end.error() != Errc::timed_out) << i;
        }
        (void)world.scheduler().sleep_for(1s);
        EXPECT_EQ(bus->counters().refused_by_transport, 3u);
        ASSERT_EQ(handler.refused.size(), 3u);
        for (const std::size_t i : {0u, 1u, 2u})
          EXPECT_EQ(handler.refused[i].first, mute[i]->local()) << handler.refused[i].second;
        (void)bus->shut_down();
      }));
}

// --- To whom we go -------------------------------------------------------------------------------------------------

TEST(BusAccept, who_is_being_dialed_is_not_dialed_again) {
  with_node([](sim::World& world, sim::SimNetwork& node) {
    Recorder handler;
    Acts slow(world.scheduler());
    std::size_t under_way = 0, most = 0, dials = 0;
    slow.authenticate = [&](Deadline deadline) -> Result<ReplicaId> {
      most = std::max(most, ++under_way);
      const Errc why = slow.wait(deadline);
      --under_way;
      return why;
    };
    auto bus = std::move(*Bus::create(node, options_of(2), handler));
    const std::vector<Member> members{{1, {}}, {2, {}}, {3, {}}};
    ASSERT_TRUE(bus->join(std::make_unique<ActedDialer>([&](Deadline) -> ActedDialer::Dialed {
                            ++dials;
                            return std::make_unique<ActedLink>(slow);
                          }),
                          members)
                    .has_value());
    // A handshake may take longer than the time between two looks at the mesh.
    (void)world.scheduler().sleep_for(bus->options().handshake_limit - 1ms);
    EXPECT_EQ(dials, 1u);
    (void)world.scheduler().sleep_for(1min);
    EXPECT_GE(dials, 4u);
    EXPECT_EQ(most, 1u);
    EXPECT_EQ(bus->counters().dials, dials);
    (void)bus->shut_down();
  });
}

// When a node asks one that is down, in the first three minutes; which of the nodes, and the seed.
std::vector<TimePoint> dials_of(bool server, std::uint64_t seed) {
  std::vector<TimePoint> dials;
  sim::expect_clean(sim::run_nodes(
      {.seed = seed}, [&](sim::World& world, sim::SimNetwork& a, sim::SimNetwork& b, Scope&) {
        Recorder handler;
        auto bus = std::move(*Bus::create(server ? a : b, options_of(2), handler));
        const std::vector<Member> members{{3, {}}};
        ASSERT_TRUE(bus->join(std::make_unique<ActedDialer>([&](Deadline) -> ActedDialer::Dialed {
                                dials.push_back(world.now());
                                return Errc::refused;
                              }),
                              members)
                        .has_value());
        (void)world.scheduler().sleep_for(3min);
        (void)bus->shut_down();
      }));
  return dials;
}

TEST(BusAccept, the_time_between_two_looks_at_the_mesh_is_drawn_from_the_node_s_chance) {
  const std::vector<TimePoint> dials = dials_of(true, 1);
  ASSERT_GE(dials.size(), 30u);
  Duration least = 1h, most{0};
  for (std::size_t i = 1; i < dials.size(); ++i) {
    least = std::min(least, dials[i] - dials[i - 1]);
    most = std::max(most, dials[i] - dials[i - 1]);
  }
  EXPECT_GE(least, 4s);
  EXPECT_LT(least, 4500ms);
  EXPECT_LE(most, 6s);
  EXPECT_GT(most, 5500ms);
  EXPECT_EQ(dials_of(true, 1), dials) << "the same seed, the same times";
  EXPECT_NE(dials_of(true, 2), dials);
  EXPECT_NE(dials_of(false, 1), dials) << "nodes that were started together do not stay in step";
}

}  // namespace
}  // namespace twinwire::bus::bus_test
