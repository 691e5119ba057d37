// SPDX-License-Identifier: Apache-2.0
// Faults in one place or for a while: the text of a rule, whom it meets, and when.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <string>

#include "props/sim_rig.h"
#include "sim/fabric.h"

namespace twinwire::sim {
namespace {

using namespace std::chrono_literals;

FaultPlan plan_of(std::string_view text) {
  FaultPlan plan = FaultPlan::none();
  EXPECT_TRUE(plan.set(text).has_value()) << text;
  return plan;
}

TEST(sim_fault_place, rules_are_read_as_they_are_written) {
  for (const char* text : {"reset@client>server=0.1:200000", "segment_delay@server=0.5:2000000",
                           "datagram_loss@client<>server=0.2:1", "partition@#1<>#2=1:1/2s..3500ms",
                           "clog=0.25:7/..1500us", "isolation@c=1:1/1ns.."}) {
    const auto rule = FaultRule::parse(text);
    ASSERT_TRUE(rule.has_value()) << text;
    EXPECT_EQ(rule->to_text(), text);
  }
  const FaultPlan plan = plan_of("reset@client>server=0.1:5");
  EXPECT_TRUE(plan.to_text().ends_with("reset@client>server=0.1:5"));
  EXPECT_EQ(plan_of("segment_delay@server=0.5").rules.front().fault.bound, 300'000'000U)
      << "the usual bound where none is given";
}

TEST(sim_fault_place, what_is_no_rule_is_refused) {
  for (const char* text :
       {"reset@=0.1", "reset@a>=0.1", "reset@a<b=0.1", "reset@a>b>c=0.1", "reset@a b=0.1",
        "nonsense@a=0.1", "reset@a=2", "reset=0.1/2s", "reset=0.1/3s..2s", "reset=0.1/2s..2s",
        "reset=0.1/2x..3x", "reset=0.1/-1s..3s", "reset@a", "reset@a=0.1:0", "no_memory@a=1",
        "wake_order@a=1", "clock_skew@a>b=1", "isolation@a<>b=1", "partition@a>b=1"}) {
    FaultPlan plan;
    EXPECT_FALSE(plan.set(text).has_value()) << text;
  }
}

struct Heard {
  std::size_t up = 0;  // datagrams from client to server that arrived, one each millisecond
  std::size_t down = 0;
};
Heard talk(const FaultPlan& faults, int each = 100) {
  Heard heard;
  WorldOptions options;
  options.faults = faults;
  (void)run_nodes(options, [&](World& world, SimNetwork& server, SimNetwork& client, Scope&) {
    auto a = *client.bind(client.address(5000), {});
    auto b = *server.bind(server.address(5000), {});
    const Bytes bytes = pattern(100);
    for (int i = 0; i < each; ++i) {
      const Datagram up{.remote = b->local(), .bytes = bytes};
      const Datagram down{.remote = a->local(), .bytes = bytes};
      EXPECT_TRUE(a->send({&up, 1}, {}).has_value());
      EXPECT_TRUE(b->send({&down, 1}, {}).has_value());
      EXPECT_TRUE(world.scheduler().sleep_for(500us).has_value());
      if (b->receive({world.now() + 1ns})) ++heard.up;
      if (a->receive({world.now() + 1ns})) ++heard.down;
      (void)world.scheduler().sleep_until({(i + 1) * 1'000'000});
    }
  });
  return heard;
}

void expect_heard(std::string_view rule, std::size_t up, std::size_t down) {
  const Heard heard = talk(plan_of(rule));
  EXPECT_EQ(heard.up, up) << rule;
  EXPECT_EQ(heard.down, down) << rule;
}

TEST(sim_fault_place, a_rule_meets_its_direction_its_link_or_its_node) {
  expect_heard("datagram_loss@client>server=1", 0, 100);
  expect_heard("datagram_loss@server>client=1", 100, 0);
  expect_heard("datagram_loss@client<>server=1", 0, 0);
  expect_heard("datagram_loss@client=1", 0, 0);
  expect_heard("datagram_loss@#1>#2=1", 100, 0);  // the server was added first
  expect_heard("datagram_loss@stranger=1", 100, 100);
}

TEST(sim_fault_place, a_rule_holds_from_its_first_instant_to_before_its_last) {
  expect_heard("datagram_loss=1/20ms..30ms", 90, 90);
  expect_heard("datagram_loss@client>server=1/..30ms", 70, 100);
  expect_heard("datagram_loss@client>server=1/90ms..", 90, 100);
}

TEST(sim_fault_place, partitions_stand_where_the_plan_puts_them) {
  expect_heard("partition@client<>server=1/20ms..30ms", 90, 90);
  expect_heard("partition_one_way@client>server=1/20ms..30ms", 90, 100);
  expect_heard("isolation@server=1/20ms..30ms", 90, 90);
  expect_heard("isolation@stranger=1/20ms..30ms", 100, 100);
}

TEST(sim_fault_place, of_several_rules_the_last_counts) {
  FaultPlan plan = plan_of("datagram_loss=1");
  EXPECT_TRUE(plan.set("datagram_loss@client>server=0").has_value());
  const Heard heard = talk(plan);
  EXPECT_EQ(heard.up, 100U);
  EXPECT_EQ(heard.down, 0U);
}

TEST(sim_fault_place, a_reset_at_an_instant_meets_the_first_byte_that_arrives_then) {
  WorldOptions options;
  options.faults = plan_of("reset@client>server=1/10ms..");
  const RunReport report = run_rig(options, {}, {}, [](Rig& rig) {
    EXPECT_TRUE(write_all(*rig.client, pattern(1000)).has_value());
    Bytes got;
    EXPECT_TRUE(read_up_to(*rig.server, got, 1000).has_value());
    (void)rig.world.scheduler().sleep_until({11'000'000});
    (void)write_all(*rig.client, pattern(10));
    EXPECT_EQ(read_up_to(*rig.server, got, 1010).error(), Errc::broken);
    EXPECT_EQ(got.size(), 1000U);
  });
  EXPECT_EQ(bit(report, Site::reset), 1u);
}

TEST(sim_fault_place, a_swarm_puts_some_faults_in_one_place) {
  std::size_t rules = 0;
  std::size_t directions = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed)
    for (const FaultRule& rule : FaultPlan::swarm(seed).rules) {
      ++rules;
      if (rule.scope == FaultRule::Scope::direction) ++directions;
      FaultPlan plan;
      EXPECT_TRUE(plan.set(rule.to_text()).has_value()) << "a capsule must read " << rule.to_text();
    }
  EXPECT_GT(rules, 300U);
  EXPECT_GT(directions, 50U);
}

}  // namespace
}  // namespace twinwire::sim
