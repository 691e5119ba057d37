// SPDX-License-Identifier: Apache-2.0
// The scenario `restarts`: its laws can be broken, and every fault of a node bites in it.
// ctest: no_tsan
#include <gtest/gtest.h>

#include "props/laws/run_in_world.h"

namespace twinwire::laws {
namespace {

StackPool& stacks() {
  static StackPool pool;
  return pool;
}

const Registry& scenarios() {
  static const Registry all = built_in_scenarios();
  return all;
}

Verdict play(std::size_t transport, std::uint64_t seed, const sim::FaultPlan& faults,
             std::vector<Knob> knobs = {}) {
  WorldRun run;
  run.scenario = scenarios().find("restarts");
  run.transport = transport;
  run.knobs = std::move(knobs);
  run.options.seed = seed;
  run.options.faults = faults;
  return run_in_world(run, stacks());
}

TEST(restarts, a_server_that_acknowledges_before_it_has_synced_is_found_out) {
  for (std::size_t transport = 0; transport < transport_count; ++transport) {
    SCOPED_TRACE(transport_names()[transport]);
    bool found = false;
    for (std::uint64_t seed = 1; seed <= 300 && !found; ++seed) {
      sim::FaultPlan faults = sim::FaultPlan::none();
      ASSERT_TRUE(faults.set("crash@server=0.02:100000000").has_value());
      const std::vector<Knob> small{{"clients", 1}, {"messages", 20}, {"faults_end_ms", 2000}};
      std::vector<Knob> early = small;
      early.push_back({"acknowledge_early", 1});
      const Verdict verdict = play(transport, seed, faults, early);
      found = verdict.failure_key() == "law_broken:log_durable";
      if (!found) {
        EXPECT_EQ(verdict.failure_key(), "pass") << "seed " << seed << ": " << verdict.detail;
      }
      // The same run with a server that waits keeps the law.
      if (found) {
        EXPECT_EQ(play(transport, seed, faults, small).failure_key(), "pass");
      }
    }
    EXPECT_TRUE(found) << transport_names()[transport];
  }
}

TEST(restarts, every_fault_of_nodes_bites_and_the_same_seed_makes_the_same_run) {
  std::array<std::uint64_t, sim::site_count> bites{};
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const std::size_t transport = seed % transport_count;
    const sim::FaultPlan faults = sim::FaultPlan::swarm(seed);
    const Verdict once = play(transport, seed, faults);
    EXPECT_EQ(once.failure_key(), "pass") << "seed " << seed << ": " << once.detail;
    if (seed % 4 == 0) {
      EXPECT_EQ(play(transport, seed, faults).report.hash, once.report.hash) << "seed " << seed;
    }
    for (std::size_t i = 0; i < sim::site_count; ++i) {
      EXPECT_LE(once.report.counts[i].bit, once.report.counts[i].struck)
          << sim::name(static_cast<sim::Site>(i)) << ", seed " << seed;
      bites[i] += once.report.counts[i].bit;
    }
  }
  for (auto site = static_cast<std::size_t>(sim::Site::crash);
       site <= static_cast<std::size_t>(sim::Site::short_datagram_queue); ++site)
    EXPECT_GT(bites[site], 0u) << sim::name(static_cast<sim::Site>(site));
}

TEST(restarts, what_strikes_a_node_is_over_when_the_faults_end) {
  for (const char* fault : {"power_loss@server=1/1s..200s", "crash@server=1/1s..200s",
                            "pause@server=1/1s..200s", "power_loss@server=1/500ms.."}) {
    sim::FaultPlan faults = sim::FaultPlan::none();
    ASSERT_TRUE(faults.set(fault).has_value());
    std::uint64_t bites = 0;
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      const Verdict verdict =
          play(seed % transport_count, seed, faults, {{"faults_end_ms", 2000}, {"messages", 60}});
      EXPECT_EQ(verdict.failure_key(), "pass") << fault << ", seed " << seed;
      for (const sim::Site site : {sim::Site::power_loss, sim::Site::crash, sim::Site::pause})
        bites += verdict.report.counts[static_cast<std::size_t>(site)].struck;
    }
    EXPECT_GT(bites, 0u) << fault;
  }
}

TEST(restarts, without_faults_nothing_goes_wrong_and_nobody_starts_twice) {
  for (std::size_t transport = 0; transport < transport_count; ++transport)
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      const Verdict verdict = play(transport, seed, sim::FaultPlan::none());
      EXPECT_EQ(verdict.failure_key(), "pass") << "seed " << seed << ": " << verdict.detail;
      EXPECT_LT(verdict.report.at.ns, 120'000'000'000);
    }
}

}  // namespace
}  // namespace twinwire::laws
