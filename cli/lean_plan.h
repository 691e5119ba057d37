// SPDX-License-Identifier: Apache-2.0
// What a run that is made of its decisions alone still needs of its plan: nothing is drawn by chance there, but what a
// rule puts at an instant is asked for by that rule, and what lasts ends at the calm.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "sim/decisions.h"
#include "sim/fault_plan.h"

namespace twinwire::cli {

struct PlannedRun {
  sim::FaultPlan plan;
  std::vector<sim::Decision> decisions;
};

// Without its nth rule. Decisions that it asked for go with it, and those of later rules are named anew: a scheduled
// choice is keyed by the number of its rule (sim::appointment).
void drop_rule(PlannedRun& run, std::size_t nth);

// Leaves out of the plan what is not needed: at first all but what is scheduled, and the calm; then each of these.
// `keeps` runs a candidate, and says whether it still fails as it should. False: everything was needed.
bool make_lean(PlannedRun& run, const std::function<bool(PlannedRun& candidate)>& keeps);

}  // namespace twinwire::cli
