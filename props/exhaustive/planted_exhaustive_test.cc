// SPDX-License-Identifier: Apache-2.0
// Planted bugs that show in one place of a connection are found by trying every place; and what shows them passes
// without them.
// ctest: no_asan no_tsan timeout=900
#include <gtest/gtest.h>

#include <algorithm>

#include "props/exhaustive/faults_mode.h"
#include "props/exhaustive/mode.h"
#include "transport/base/plant_list.h"

namespace twinwire::exhaustive {
namespace {

struct Planted {
  const char* name;
  const char* kind;  // of the fault that shows it
  const char* key;
  std::size_t every;  // one case of that kind in so many is tried
  friend void PrintTo(const Planted& planted, std::ostream* out) { *out << planted.name; }
};

class PlantedExhaustive : public testing::TestWithParam<Planted> {
 protected:
  void TearDown() override { plant::activate(""); }
};

TEST_P(PlantedExhaustive, is_found_by_trying_every_place) {
  const Planted& planted = GetParam();
  const auto catalogue = plant::catalogue();
  const auto entry = std::find_if(catalogue.begin(), catalogue.end(),
                                  [&](const plant::Entry& e) { return e.name == planted.name; });
  ASSERT_NE(entry, catalogue.end());
  constexpr auto names = laws::transport_names();
  const auto transport = static_cast<std::size_t>(
      std::find(names.begin(), names.end(), entry->transport) - names.begin());
  const laws::Registry registry = laws::built_in_scenarios();
  StackPool stacks;
  const Plan plan = entry->transport == "quic" ? plan_datagram(registry, transport, stacks)
                                               : plan_stream(registry, transport, stacks);
  const auto judged = [&](const Case& one) {
    return judge(plan, one, laws::run_in_world(run_of(registry, transport, plan, one), stacks));
  };
  std::size_t nth = 0;
  for (const Case& one : plan.cases) {
    if (plan.kinds[one.kind].name != planted.kind || nth++ % planted.every != 0) continue;
    ASSERT_TRUE(plant::activate(planted.name));
    const Judgement with = judged(one);
    if (with.passed()) continue;
    EXPECT_EQ(with.key, planted.key) << with.detail;
    ASSERT_TRUE(plant::activate(""));
    EXPECT_EQ(judged(one).key, "pass");
    return;
  }
  FAIL() << planted.name << " was not found in " << nth << " cases of '" << planted.kind << "'";
}

INSTANTIATE_TEST_SUITE_P(
    Some, PlantedExhaustive,
    testing::Values(
        Planted{"resume_at_wrong_offset", "short write", "law_broken:close_delivers", 1},
        Planted{"lose_bytes_when_read_stops", "stall of 1 s", "law_broken:read_checks", 1},
        Planted{"yield_cut_off_message", "early end", "law_broken:read_checks", 1},
        Planted{"eof_inside_frame_is_closed", "early end", "law_broken:read_end", 1},
        Planted{"keep_connection_after_failure", "reset", "law_broken:drop", 1},
        Planted{"drain_batch_on_failure", "reset", "law_broken:batch_kept", 1},
        Planted{"close_without_bound", "silence", "law_broken:close_returns", 1},
        Planted{"eof_without_close_notify_is_closed", "early end", "law_broken:read_end", 1},
        Planted{"canceled_read_loses_plaintext", "stall of 1 s", "law_broken:prefix", 29},
        Planted{"mask_restarts_with_each_piece", "stall of 1 s", "law_broken:read_checks", 1},
        Planted{"ws_success_when_queued", "short write", "law_broken:accepted", 1},
        Planted{"quic_yield_out_of_order", "loss", "law_broken:prefix", 1},
        Planted{"quic_references_freed_before_ack", "loss", "law_broken:prefix", 1}),
    [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace twinwire::exhaustive
