// SPDX-License-Identifier: Apache-2.0
// Faults of nodes as a plan has them: scheduled, scoped, drawn by key, counted; clocks, queues, and groups of nodes.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "props/sim_node_rig.h"

namespace twinwire::sim {
namespace {

// --- By the plan ---------------------------------------------------------------------------------------------------

TEST(sim_node, a_fault_of_a_node_can_be_put_at_an_instant) {
  for (const auto& [fault, site] : {std::pair{"crash@server=1/20ms..50ms", Site::crash},
                                    {"power_loss@#1=1/20ms..50ms", Site::power_loss}}) {
    std::vector<TimePoint> started;
    const auto program = [&started](World& world) -> Node::Program {
      return [&world, &started](SimNetwork&) {
        started.push_back(world.now());
        (void)world.scheduler().sleep_for(1h);
      };
    };
    TraceText trace;
    const RunReport report =
        beside(plan(fault, &trace), program,
               [](World& world, Node&, SimNetwork&) { (void)world.scheduler().sleep_for(1s); });
    expect_clean(report);
    ASSERT_EQ(started.size(), 2u) << fault;
    EXPECT_EQ(started[1].ns, 50'000'000) << fault;
    EXPECT_EQ(struck(report, site), 1u) << fault;
    EXPECT_EQ(bit(report, site), 1u) << fault;
    EXPECT_TRUE(trace.has("20000000 server " + std::string(name(site)) + " for 30000000 ns"));
    EXPECT_TRUE(trace.has("50000000 server starts again"));
  }
}

TEST(sim_node, a_fault_is_of_the_node_that_its_rule_names) {
  for (const auto& [fault, strikes] :
       {std::pair{"crash@server=1:1000", true}, {"crash@client=1:1000", false}}) {
    const RunReport report = beside(plan(fault), idle, [&](World&, Node& server, SimNetwork&) {
      EXPECT_EQ(server.incarnations() > 1, strikes) << fault;
    });
    EXPECT_EQ(bit(report, Site::crash) > 0, strikes) << fault;
  }
}

TEST(sim_node, a_crash_is_drawn_by_the_nth_run_of_the_nodes_fibers) {
  const EntityId server = child_entity(World::root_entity, 0);
  int steps = 0;
  const auto counting = [&steps](World& world) -> Node::Program {
    return [&world, &steps](SimNetwork& network) {
      if (network.node().incarnations() > 1) return;
      while (!network.severed()) {
        ++steps;
        if (!world.scheduler().sleep_for(10us)) return;
      }
    };
  };
  const RunReport report =
      beside(with_edits({{Site::crash, server, 7, 1000}}), counting,
             [](World& world, Node&, SimNetwork&) { (void)world.scheduler().sleep_for(1ms); });
  EXPECT_EQ(steps, 7);
  EXPECT_EQ(bit(report, Site::crash), 1u);
  expect_clean(report);
}

TEST(sim_node, nodes_that_fail_make_the_same_run_twice) {
  std::set<std::uint64_t> hashes;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const auto once = [seed](Decisions::Base base, std::vector<Decision> edits,
                             std::vector<Decision>* recorded) {
      WorldOptions options;
      options.seed = seed;
      for (const auto* fault : {"crash=0.2", "power_loss=0.2", "pause=0.2"})
        EXPECT_TRUE(options.faults.set(fault).has_value());
      options.base = base;
      options.edits = std::move(edits);
      options.record = true;
      World world(options, test_stacks());
      SimNetwork& server = world.add_node("server");
      SimNetwork& client = world.add_node("client");
      const Node::Program program = holder(world, 0s);
      const RunReport report = world.run([&](Scope&) {
        run_scope(world.scheduler(), [&](Scope& servers) {
          servers.spawn("run server", [&] { server.node().run(program); });
          for (int i = 0; i < 20; ++i) {
            (void)world.scheduler().sleep_for(100ms);
            auto stream = client.dial(server.address(port), {}, {world.now() + 1s});
            if (stream) (void)write_some(**stream, pattern(1000));
          }
          servers.cancel();
        });
      });
      expect_clean(report);
      if (recorded != nullptr) *recorded = world.decisions().recorded();
      return report.hash;
    };
    std::vector<Decision> recorded;
    const std::uint64_t hash = once(Decisions::Base::seeded, {}, &recorded);
    EXPECT_EQ(once(Decisions::Base::seeded, {}, nullptr), hash);
    EXPECT_EQ(once(Decisions::Base::benign, recorded, nullptr), hash);
    hashes.insert(hash);
  }
  EXPECT_GT(hashes.size(), 40u);
}

// --- Clocks and queues ---------------------------------------------------------------------------------------------

TEST(sim_node, timers_of_a_node_run_fast_or_slow_and_agree_with_its_clock) {
  for (const std::uint64_t ppm : {std::uint64_t{200'000}, std::uint64_t{200'001}}) {
    const std::int64_t rate = ppm % 2 == 0 ? 1'200'000 : 799'999;
    const EntityId server = child_entity(World::root_entity, 0);
    TimePoint begun, ended;
    std::size_t checks = 0;
    const auto sleeper = [&](World& world) -> Node::Program {
      return [&](SimNetwork& network) {
        begun = world.now();
        Clock& clock = network.clock();
        const TimePoint before = clock.now();
        EXPECT_TRUE(world.scheduler().sleep_for(1s).has_value());
        ended = world.now();
        EXPECT_GE(clock.now(), before + 1s);
        EXPECT_LE(clock.now(), before + 1s + 2ns);
        // What has a deadline by this clock keeps it, by this clock.
        auto socket = *network.bind(network.address(port), {});
        for (int i = 0; i < 200; ++i) {
          const Deadline deadline = clock.in(Duration(1 + i * 7919));
          EXPECT_EQ(socket->receive(deadline).error(), Errc::timed_out);
          EXPECT_GE(clock.now(), deadline.at);
          EXPECT_LE(clock.now(), deadline.at + 2ns);
          ++checks;
        }
        // No host there: the answer comes after a latency of the network's, not of this clock.
        const TimePoint asked = world.now();
        EXPECT_EQ(network.dial(Address::v4(10, 0, 9, 9, port), {}, {}).error(), Errc::unreachable);
        EXPECT_LE(world.now() - asked, latency + 3ns);
      };
    };
    const RunReport report =
        beside(with_edits({{Site::timer_drift, server, 0, ppm}}), sleeper,
               [](World& world, Node&, SimNetwork&) { (void)world.scheduler().sleep_for(3s); });
    expect_clean(report);
    EXPECT_EQ(checks, 200u);
    EXPECT_NEAR(static_cast<double>((ended - begun).count()), 1e15 / static_cast<double>(rate), 2);
    EXPECT_EQ(bit(report, Site::timer_drift), 1u);
  }
}

TEST(sim_node, a_short_backlog_drops_a_syn_that_a_long_one_would_have_taken) {
  for (const bool is_short : {true, false}) {
    const RunReport report = run_nodes(
        is_short ? plan("short_backlog=1:1") : WorldOptions{},
        [&](World& world, SimNetwork& server, SimNetwork& client, Scope&) {
          auto acceptor = *server.listen(server.address(port), {});
          auto first = client.dial(server.address(port), {}, {});
          EXPECT_TRUE(first.has_value());
          const auto second = client.dial(server.address(port), {}, {world.now() + 1ms});
          EXPECT_EQ(second.has_value(), !is_short);
          EXPECT_FALSE(is_short &&
                       client.dial(server.address(port), {}, {world.now() + 1ms}).has_value());
        });
    expect_clean(report);
    EXPECT_EQ(bit(report, Site::short_backlog), is_short ? 1u : 0u);
  }
}

TEST(sim_node,
     a_reset_that_overtakes_the_handshakes_last_step_leaves_no_place_in_the_backlog_taken) {
  WorldOptions options = plan("reset_overtakes=1");
  const RunReport report =
      run_nodes(options, [&](World& world, SimNetwork& server, SimNetwork& client, Scope&) {
        auto acceptor = *server.listen(server.address(port), {.backlog = 0});
        {
          auto stream = *client.dial(server.address(port), {}, {});
          EXPECT_TRUE(write_all(*stream, pattern(10)).has_value());
          stream->abort();
        }
        (void)world.scheduler().sleep_for(1ms);
        EXPECT_TRUE(client.dial(server.address(port), {}, {world.now() + 1ms}).has_value());
      });
  expect_clean(report);
  EXPECT_EQ(bit(report, Site::reset_overtakes), 1u);
}

TEST(sim_node, a_short_datagram_queue_drops_what_a_long_one_would_have_taken) {
  for (const bool is_short : {true, false}) {
    const RunReport report =
        run_nodes(is_short ? plan("short_datagram_queue=1:1") : WorldOptions{},
                  [&](World& world, SimNetwork& server, SimNetwork& client, Scope&) {
                    auto from = *client.bind(client.address(port), {});
                    auto to = *server.bind(server.address(port), {});
                    const Bytes bytes = pattern(1000);
                    const Datagram datagram{.remote = server.address(port), .bytes = bytes};
                    for (int i = 0; i < 30; ++i)
                      EXPECT_TRUE(from->send({&datagram, 1}, {}).has_value());
                    (void)world.scheduler().sleep_for(1ms);
                    EXPECT_EQ(to->receive({})->size(), is_short ? 16u : 30u);
                  });
    expect_clean(report);
    EXPECT_EQ(bit(report, Site::short_datagram_queue), is_short ? 1u : 0u);
  }
}

// --- Groups --------------------------------------------------------------------------------------------------------

// Which of four nodes hear which: "ab" means that b accepts a's connect within a second.
std::set<std::string> who_hears_whom(std::string_view fault) {
  std::set<std::string> heard;
  World world(plan(fault), test_stacks());
  std::vector<SimNetwork*> nodes;
  for (const char* name : {"a", "b", "c", "d"}) nodes.push_back(&world.add_node(name));
  (void)world.run([&](Scope&) {
    std::vector<std::unique_ptr<Acceptor>> acceptors;
    for (SimNetwork* node : nodes) acceptors.push_back(*node->listen(node->address(port), {}));
    for (SimNetwork* from : nodes)
      for (SimNetwork* to : nodes)
        if (from != to && from->dial(to->address(port), {}, {world.now() + 500ms}))
          heard.insert(from->name() + to->name());
  });
  return heard;
}

TEST(sim_node, a_partition_can_part_groups) {
  const std::set<std::string> parted{"ab", "ba", "cd", "dc"};
  EXPECT_EQ(who_hears_whom("partition@a+b<>c+d=1/0s..1000s"), parted);
  EXPECT_EQ(who_hears_whom("partition@a+b<>*=1/0s..1000s"), parted);
  EXPECT_EQ(who_hears_whom("partition@#1+#2<>#3+d=1/0s..1000s"), parted);
  EXPECT_EQ(who_hears_whom("partition@a<>b+c=1/0s..1000s").size(), 12u - 4u);
  EXPECT_EQ(who_hears_whom("isolation@a+b=1/0s..1000s"), (std::set<std::string>{"cd", "dc"}));
  for (const char* bad : {"partition@a+<>b=1", "partition@+a<>b=1", "partition@*<>b=1",
                          "partition@a<>b+*=1", "partition@a<>**=1"})
    EXPECT_FALSE(FaultRule::parse(bad).has_value()) << bad;
  EXPECT_EQ(FaultRule::parse("partition@a+b<>*=1:5/2s..3s")->to_text(),
            "partition@a+b<>*=1:5/2s..3s");
}

TEST(sim_node, a_split_makes_two_groups_of_all_nodes) {
  std::set<std::size_t> sizes;
  for (int from = 1; from <= 40; ++from) {
    const auto heard = who_hears_whom("split=1/" + std::to_string(from) + "ns..1000s");
    // Groups of n and 4 - n: within each everybody hears everybody.
    sizes.insert(heard.size());
    for (const std::string& pair : heard) {
      EXPECT_TRUE(heard.contains({pair[1], pair[0]}));
      for (const std::string& next : heard)
        if (pair[1] == next[0] && pair[0] != next[1]) {
          EXPECT_TRUE(heard.contains({pair[0], next[1]})) << "it is transitive";
        }
    }
  }
  EXPECT_EQ(sizes, (std::set<std::size_t>{4, 6, 12}));
}

}  // namespace
}  // namespace twinwire::sim
