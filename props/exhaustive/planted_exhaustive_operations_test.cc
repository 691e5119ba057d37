// SPDX-License-Identifier: Apache-2.0
// The modes `cancel` and `memory` can fail: planted bugs of what they are about are caught by them, by the law that
// says so. Without a plant the same cases are green (exhaustive_operations_test.cc).
// ctest: no_asan no_tsan
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "props/exhaustive/operations_mode.h"
#include "props/exhaustive/sweep.h"
#include "transport/base/plant_list.h"

namespace twinwire::exhaustive {
namespace {

struct Caught {
  std::string_view mode;
  std::string_view transport;
  std::string_view plant;
  std::string_view key;
};

class PlantedOperations : public testing::TestWithParam<Caught> {
 protected:
  void TearDown() override { plant::activate(""); }
};

TEST_P(PlantedOperations, are_caught_by_the_mode) {
  constexpr auto names = laws::transport_names();
  const laws::Registry registry = laws::built_in_scenarios();
  StackPool stacks;
  const auto transport = static_cast<std::size_t>(
      std::find(names.begin(), names.end(), GetParam().transport) - names.begin());
  // The cases are those of the run without the bug: the bug must do no harm where nothing is disturbed.
  const Plan plan =
      (GetParam().mode == "cancel" ? &plan_cancel : &plan_memory)(registry, transport, stacks);
  ASSERT_EQ(plan.complaint, "");
  ASSERT_TRUE(plant::activate(GetParam().plant));
  const Sweep all = sweep(registry, transport, plan, 1, stacks, GetParam().key);
  EXPECT_TRUE(all.broken.contains(std::string(GetParam().key)))
      << testing::PrintToString(all.broken);
}

constexpr Caught caught[] = {
    {"cancel", "tcp", "lose_bytes_when_read_stops", "law_broken:unharmed"},
    {"cancel", "tcp", "keep_connection_after_failure", "law_broken:drop"},
    {"cancel", "tcp", "drain_batch_on_failure", "law_broken:batch_kept"},
    {"cancel", "tcp", "reader_waits_for_dead_writer", "law_broken:reader_wakes"},
    {"cancel", "tls", "canceled_read_loses_plaintext", "law_broken:prefix"},
    {"cancel", "ws", "ws_reader_sleeps_when_dropped", "law_broken:reader_wakes"},
    {"memory", "tcp", "lose_bytes_when_read_stops", "law_broken:read_checks"},
    {"memory", "tcp", "keep_connection_after_failure", "law_broken:drop"},
    {"memory", "tcp", "failed_batch_reports_success", "law_broken:batch_reused"},
    {"memory", "ws", "ws_reader_sleeps_when_dropped", "law_broken:reader_wakes"},
};

INSTANTIATE_TEST_SUITE_P(Catalogue, PlantedOperations, testing::ValuesIn(caught),
                         [](const auto& instance) {
                           return std::string(instance.param.mode) + "_" +
                                  std::string(instance.param.transport) + "_" +
                                  std::string(instance.param.plant);
                         });

}  // namespace
}  // namespace twinwire::exhaustive
