// SPDX-License-Identifier: Apache-2.0
// What a finding ends with: its capsule, kept, and the lines that make it again.
#pragma once

#include <string>

#include "cli/capsule.h"
#include "cli/tool.h"

namespace twinwire::cli {

// Saves the capsule; where that cannot be, says so on standard error and goes on. Returns its path, or empty.
std::string keep(const Capsule& capsule, const std::string& folder);

// "reproduce it with" and one or two lines that can be typed as they stand.
std::string reproduce_lines(const Tool& tool, const RunSpec& spec, std::uint64_t seed,
                            const std::string& capsule_path);

// The same of a seed that failed when it ran without one of its decisions (HuntPlan::resample_every).
std::string reproduce_resampled(const Tool& tool, const RunSpec& spec, std::uint64_t seed,
                                const std::string& capsule_path);

}  // namespace twinwire::cli
