// SPDX-License-Identifier: Apache-2.0
// The end of all faults at an instant: none begins after it, and what lasted is over.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "props/sim_rig.h"
#include "sim/fault_plan.h"

namespace twinwire::sim {
namespace {

WorldOptions with(std::initializer_list<std::string_view> settings) {
  WorldOptions options;
  for (const std::string_view setting : settings)
    EXPECT_TRUE(options.faults.set(setting).has_value()) << setting;
  return options;
}

TEST(sim_calm, is_part_of_a_plan_and_of_its_text) {
  FaultPlan plan = FaultPlan::none();
  EXPECT_EQ(plan.to_text().find("calm"), std::string::npos);
  ASSERT_TRUE(plan.set("calm=1500ms"));
  EXPECT_EQ(plan.calm, TimePoint{1'500'000'000});
  EXPECT_NE(plan.to_text().find(" calm=1500ms"), std::string::npos) << plan.to_text();
  for (const char* bad : {"calm=", "calm=5", "calm=-1s", "calm=0.5s", "calm=5 s", "calm=5sec"})
    EXPECT_FALSE(plan.set(bad)) << bad;
  EXPECT_EQ(plan.calm, TimePoint{1'500'000'000});
}

TEST(sim_calm, a_swarm_has_it_in_three_seeds_of_ten) {
  int calm = 0;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    const FaultPlan plan = FaultPlan::swarm(seed);
    if (plan.calm == TimePoint::never()) continue;
    ++calm;
    EXPECT_GE(plan.calm, TimePoint{1'000'000});
    EXPECT_LE(plan.calm, TimePoint{30'000'000'000});
  }
  EXPECT_GT(calm, 250);
  EXPECT_LT(calm, 350);
}

TEST(sim_calm, after_it_nothing_is_drawn_but_the_order) {
  const RunReport report = run_rig(with({"short_read=1:1", "calm=1s"}), {}, {}, [](Rig& rig) {
    ASSERT_TRUE(write_all(*rig.client, pattern(100)));
    auto slice = rig.server->read({});
    ASSERT_TRUE(slice);
    EXPECT_EQ(slice->size(), 1u);
    rig.sleep(1s);
    slice = rig.server->read({});
    ASSERT_TRUE(slice);
    EXPECT_EQ(slice->size(), 99u);
  });
  expect_clean(report);
  EXPECT_EQ(bit(report, Site::short_read), 1u);
}

TEST(sim_calm, ends_an_outage_whatever_its_own_length) {
  const RunReport report =
      run_rig(with({"partition@client<>server=1/1ms..1000s", "calm=500ms"}), {}, {}, [](Rig& rig) {
        rig.sleep(2ms);
        const TimePoint sent = rig.now();
        EXPECT_TRUE(write_all(*rig.client, pattern(100)).has_value());
        Bytes got;
        EXPECT_TRUE(read_up_to(*rig.server, got, 100).has_value());
        EXPECT_EQ(rig.now() - sent, 600ms + latency);  // the second retransmission
      });
  expect_clean(report);
}

TEST(sim_calm, answers_a_connect_that_was_lost_by_the_next_syn) {
  const RunReport report =
      run_nodes(with({"connect_black_hole=1", "calm=5s"}),
                [](World& world, SimNetwork& server, SimNetwork& client, Scope&) {
                  auto acceptor = server.listen(server.address(port), {});
                  ASSERT_TRUE(acceptor);
                  auto dialed = client.dial(server.address(port), {}, {});
                  EXPECT_TRUE(dialed.has_value());
                  EXPECT_EQ(world.now(), TimePoint{} + 7s + 2 * latency);  // after 1, 3 and 7 s
                });
  expect_clean(report);
  EXPECT_EQ(bit(report, Site::connect_black_hole), 1u);
}

TEST(sim_calm, large_datagrams_pass_again) {
  const RunReport report =
      run_nodes(with({"mtu_black_hole=1:1", "calm=1s"}),
                [](World& world, SimNetwork& first, SimNetwork& second, Scope&) {
                  auto server = first.bind(first.address(5000), {});
                  auto client = second.bind(second.address(5000), {});
                  ASSERT_TRUE(server && client);
                  const Bytes large = pattern(1400);
                  const Datagram datagram{.remote = (*server)->local(), .bytes = large};
                  ASSERT_TRUE((*client)->send({&datagram, 1}, {}));
                  EXPECT_FALSE((*server)->receive({world.now() + 1s}));
                  ASSERT_TRUE((*client)->send({&datagram, 1}, {}));
                  auto batch = (*server)->receive({world.now() + 1s});
                  ASSERT_TRUE(batch);
                  EXPECT_EQ(batch->front().bytes.size(), 1400u);
                });
  expect_clean(report);
}

}  // namespace
}  // namespace twinwire::sim
