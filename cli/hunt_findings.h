// SPDX-License-Identifier: Apache-2.0
// The end of a hunt: each kind of failure once more alone, kept as a capsule, with the lines that reproduce it.
#pragma once

#include <string>
#include <vector>

#include "cli/hunt_crew.h"

namespace twinwire::cli {

struct FindingFolders {
  std::string capsules;
  std::string corpus;  // where they are kept minimised as well; empty: they are not
};

// Prints them and returns the exit code of the gravest.
ExitCode report_findings(const Tool& tool, const HuntPlan& plan,
                         const std::vector<HuntFailure>& failures, const FindingFolders& folders,
                         Duration hang_after);

}  // namespace twinwire::cli
