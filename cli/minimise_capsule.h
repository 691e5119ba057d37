// SPDX-License-Identifier: Apache-2.0
// From one failing run to the smallest capsule of it: what `minimise` and `hunt --corpus` share.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "cli/capsule.h"
#include "cli/subject.h"

namespace twinwire::cli {

struct MinimiseLimits {
  Duration time_max{};
  Duration hang_after{};
  std::function<bool()> interrupted;
};

// How large a failing run is, as it is reported.
struct RunSize {
  std::size_t decisions = 0;
  std::size_t numbers = 0;  // of the scenario that are not plain
  std::uint64_t steps = 0;
  std::vector<laws::Knob> knobs;  // those that a user may know
};

struct Minimised {
  Capsule capsule;
  laws::WorldRun run;  // that of the capsule
  RunSize before;
  RunSize after;
  std::uint64_t runs = 0;
  Duration took{};
  bool finished = false;  // nothing more could go; else the time was over, or it was interrupted
};

// Throws Failure where there is nothing to minimise: the run passes, fails in another way than its capsule says, or
// differs from run to run. `told` is called with each improvement.
Minimised minimise_subject(
    const Tool& tool, const Subject& subject, const MinimiseLimits& limits,
    const std::function<void(Duration, const RunSize& before, const RunSize& now)>& told);

// "decisions 412 → 37, numbers of the scenario 30 → 2, messages 200 → 3"
std::string size_change(const RunSize& before, const RunSize& now);

}  // namespace twinwire::cli
