// SPDX-License-Identifier: Apache-2.0
// Every planted bug is caught by a law, in the World: a law that no planted bug breaks would not be tested.
// ctest: no_asan no_tsan
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "props/laws/run_in_world.h"
#include "transport/base/plant_list.h"

namespace twinwire::laws {
namespace {

class PlantedBugs : public testing::TestWithParam<plant::Entry> {
 protected:
  void TearDown() override { plant::activate(""); }
};

// Which laws spoke up over some seeds of every scenario; no further than the one that was waited for, and not if that
// same run is as red without the plant: so it is the plant that is caught.
std::set<std::string> laws_broken(std::string_view transport, int seeds,
                                  std::string_view awaited = {}) {
  constexpr auto names = transport_names();
  static const Registry registry = built_in_scenarios();
  StackPool stacks;
  std::set<std::string> laws;
  WorldRun run;
  run.transport =
      static_cast<std::size_t>(std::find(names.begin(), names.end(), transport) - names.begin());
  // Every scenario with a seed before the next: most bugs show in one of the first seeds of some scenario.
  for (run.options.seed = 1; run.options.seed <= static_cast<std::uint64_t>(seeds);
       ++run.options.seed) {
    run.options.faults = sim::FaultPlan::swarm(run.options.seed);
    for (const ScenarioEntry& scenario : registry.entries()) {
      if (scenario.bodies[run.transport] == nullptr) continue;
      run.scenario = &scenario;
      const Verdict verdict = run_in_world(run, stacks);
      if (verdict.kind != VerdictKind::pass) laws.insert(verdict.law);
      if (verdict.law != awaited || awaited.empty()) continue;
      plant::activate("");
      EXPECT_EQ(run_in_world(run, stacks).failure_key(), "pass")
          << scenario.name << " with seed " << run.options.seed << ", without the plant";
      return laws;
    }
  }
  return laws;
}

TEST_P(PlantedBugs, are_caught_by_the_law_that_the_catalogue_names) {
  ASSERT_TRUE(plant::activate(GetParam().name));
  const std::set<std::string> laws = laws_broken(GetParam().transport, 300, GetParam().law);
  EXPECT_TRUE(laws.contains(std::string(GetParam().law)))
      << GetParam().name << " (" << GetParam().what << ") was caught by "
      << testing::PrintToString(laws);
}

INSTANTIATE_TEST_SUITE_P(Catalogue, PlantedBugs,
                         testing::ValuesIn(plant::catalogue().begin(), plant::catalogue().end()),
                         [](const auto& instance) { return std::string(instance.param.name); });

// The other way round: without a plant the planted archives are green, too. Not for as many seeds: what they hold then
// is what ships, and laws_prop.cc runs that.
TEST(PlantedBugsOff, nothing_is_caught_where_nothing_is_planted) {
  for (const std::string_view transport : transport_names())
    EXPECT_TRUE(laws_broken(transport, 60).empty()) << transport;
}

}  // namespace
}  // namespace twinwire::laws
