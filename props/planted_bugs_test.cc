// SPDX-License-Identifier: Apache-2.0
// Every planted bug is caught by a law, in the World: a law that no planted bug breaks would not be tested.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <set>

#include "props/laws/run_in_world.h"
#include "transport/base/plant_list.h"

namespace twinwire::laws {
namespace {

class PlantedBugs : public testing::TestWithParam<plant::Entry> {
 protected:
  void TearDown() override { plant::activate(""); }
};

// "ws: ..." is a bug of that transport; the others show on the first.
std::size_t transport_of(const plant::Entry& entry) {
  const auto names = transport_names();
  for (std::size_t i = 0; i < names.size(); ++i)
    if (entry.what.starts_with(std::string(names[i]) + ": ")) return i;
  return 0;
}

// Which laws spoke up over some seeds of every scenario.
std::set<std::string> laws_broken_by_plant(int seeds, std::size_t transport) {
  const Registry registry = built_in_scenarios();
  StackPool stacks;
  std::set<std::string> laws;
  for (const ScenarioEntry& scenario : registry.entries()) {
    WorldRun run;
    run.scenario = &scenario;
    run.transport = transport;
    for (run.options.seed = 1; run.options.seed <= static_cast<std::uint64_t>(seeds);
         ++run.options.seed) {
      run.options.faults = sim::FaultPlan::swarm(run.options.seed);
      const Verdict verdict = run_in_world(run, stacks);
      if (verdict.kind != VerdictKind::pass) laws.insert(verdict.law);
    }
  }
  return laws;
}

TEST_P(PlantedBugs, are_caught_by_the_law_that_the_catalogue_names) {
  ASSERT_TRUE(plant::activate(GetParam().name));
  const std::set<std::string> laws = laws_broken_by_plant(300, transport_of(GetParam()));
  EXPECT_TRUE(laws.contains(std::string(GetParam().law)))
      << GetParam().name << " (" << GetParam().what << ") was caught by "
      << testing::PrintToString(laws);
}

INSTANTIATE_TEST_SUITE_P(Catalogue, PlantedBugs,
                         testing::ValuesIn(plant::catalogue().begin(), plant::catalogue().end()),
                         [](const auto& instance) { return std::string(instance.param.name); });

// The other way round: without a plant the same seeds are green, so it is the plant that is caught.
TEST(PlantedBugsOff, nothing_is_caught_where_nothing_is_planted) {
  for (std::size_t transport = 0; transport < transport_count; ++transport)
    EXPECT_TRUE(laws_broken_by_plant(300, transport).empty());
}

}  // namespace
}  // namespace twinwire::laws
