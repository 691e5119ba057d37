// SPDX-License-Identifier: Apache-2.0
// The suite tests what it seems to: over its fixed seeds every fault strikes and bites, what ends connections changes
// what the program sees, and every state that must come now and then comes. planted_account_test.cc shows that each of
// these can fail.
// ctest: slow no_asan no_tsan timeout=600
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "props/account_rig.h"

namespace twinwire::props {
namespace {

using laws::transport_names;

const laws::Registry& scenarios() {
  static const laws::Registry registry = laws::built_in_scenarios();
  return registry;
}

// As many as the states need that must come there; the rare ones are for hunts.
std::uint64_t seeds_of(std::string_view scenario, std::size_t transport) {
  std::uint64_t seeds = 0;
  for (const laws::SometimesEntry& entry : laws::sometimes_list())
    if (laws::is_due(entry, transport, scenario))
      seeds = std::max(seeds, std::min(entry.seeds, laws::usual_seeds));
  return seeds;
}

// Each made once, whichever test asks first. Of faults those of `traffic` alone are looked at.
const Account& account(std::string_view scenario, std::size_t transport) {
  static std::map<std::pair<std::string, std::size_t>, Account> known;
  const auto [at, fresh] = known.try_emplace({std::string(scenario), transport});
  if (!fresh) return at->second;
  StackPool stacks;
  at->second = account_of(*scenarios().find(scenario), transport, seeds_of(scenario, transport), 0,
                          stacks, scenario != "traffic");
  return at->second;
}

class SuiteAccount : public testing::TestWithParam<std::size_t> {};

TEST_P(SuiteAccount, every_fault_is_drawn_and_strikes_and_bites) {
  const Account& all = account("traffic", GetParam());
  for (const laws::Toothless& fault :
       laws::toothless(all.faults, GetParam(), false, {.seeds_on = 1, .struck = 1}))
    ADD_FAILURE() << sim::name(fault.site)
                  << (fault.drawn ? " struck and never bit" : " was on and never drawn");
  for (std::size_t i = 0; i < sim::site_count; ++i) {
    const auto site = static_cast<sim::Site>(i);
    if (laws::meets(site, GetParam(), false)) {
      EXPECT_GT(all.faults[i].seeds_on, 0U) << sim::name(site) << " was never on";
      EXPECT_GT(all.faults[i].count.struck, 0U) << sim::name(site) << " never struck";
    } else {
      EXPECT_EQ(all.faults[i].count.drawn, 0U)
          << sim::name(site) << " meets this transport after all: laws::meets does not say so";
    }
  }
}

TEST_P(SuiteAccount, every_state_comes_that_must_come) {
  for (const laws::ScenarioEntry& scenario : scenarios().entries()) {
    if (scenario.bodies[GetParam()] == nullptr) continue;
    const std::uint64_t seeds = seeds_of(scenario.name, GetParam());
    if (seeds == 0) continue;
    const Account& all = account(scenario.name, GetParam());
    for (const Sometimes state : laws::missing(all.states, GetParam(), scenario.name, seeds))
      ADD_FAILURE() << "over " << seeds << " seeds of " << scenario.name << ": "
                    << laws::entry_of(state).name << " never came (" << laws::entry_of(state).what
                    << ")";
  }
}

TEST_P(SuiteAccount, faults_that_end_connections_change_the_outcome) {
  using sim::Site;
  StackPool stacks;
  const laws::ScenarioEntry& traffic = *scenarios().find("traffic");
  for (const Site site : {Site::connect_refused, Site::connect_black_hole, Site::accept_failure,
                          Site::reset, Site::reset_one_side, Site::silent_loss, Site::early_fin,
                          Site::bit_flip, Site::no_descriptors, Site::no_memory}) {
    if (!laws::meets(site, GetParam(), false)) continue;
    const laws::FaultTally worth = worth_of(site, traffic, GetParam(), 200, stacks);
    EXPECT_GT(worth.changed, 0U) << sim::name(site) << " changed no outcome in " << worth.reruns
                                 << " re-runs without it";
  }
}

// The measure itself: taking out what was never asked for changes nothing.
TEST_P(SuiteAccount, a_rerun_without_anything_is_the_same_run) {
  StackPool stacks;
  laws::WorldRun run;
  run.scenario = scenarios().find("traffic");
  run.transport = GetParam();
  run.outcome = true;
  for (run.options.seed = 1; run.options.seed <= 30; ++run.options.seed) {
    run.options.faults = sim::FaultPlan::swarm(run.options.seed);
    const laws::Verdict verdict = laws::run_in_world(run, stacks);
    const laws::Verdict again =
        laws::run_without(run, {sim::Site::clog, 1, 1'000'000'000'000, 0}, stacks);
    EXPECT_EQ(again.report.hash, verdict.report.hash) << "seed " << run.options.seed;
    EXPECT_EQ(again.outcome, verdict.outcome) << "seed " << run.options.seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Transports, SuiteAccount,
                         testing::Range(std::size_t{0}, laws::transport_count),
                         [](const auto& instance) {
                           return std::string(transport_names()[instance.param]);
                         });

// Every state has a home that exists, and every scenario named runs over the transports named.
TEST(Sometimes, each_is_due_somewhere_that_exists) {
  for (const laws::SometimesEntry& entry : laws::sometimes_list()) {
    const laws::ScenarioEntry* scenario = scenarios().find(entry.scenario);
    ASSERT_NE(scenario, nullptr) << entry.name << " is due in " << entry.scenario;
    EXPECT_NE(entry.transports, 0U) << entry.name;
    for (std::size_t i = 0; i < laws::transport_count; ++i)
      if (laws::is_due(entry, i, entry.scenario)) {
        EXPECT_NE(scenario->bodies[i], nullptr) << entry.name << ": " << entry.scenario
                                                << " does not run over " << transport_names()[i];
      }
  }
}

}  // namespace
}  // namespace twinwire::props
