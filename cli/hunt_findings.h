// SPDX-License-Identifier: Apache-2.0
// The end of a hunt: each kind of failure once more alone, kept as a capsule, with the lines that reproduce it.
#pragma once

#include <string>
#include <vector>

#include "cli/hunt_crew.h"

namespace twinwire::cli {

// Prints them and returns the exit code of the gravest.
ExitCode report_findings(const Tool& tool, const HuntPlan& plan,
                         const std::vector<HuntFailure>& failures, const std::string& folder,
                         Duration hang_after);

}  // namespace twinwire::cli
