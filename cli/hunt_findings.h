// SPDX-License-Identifier: Apache-2.0
// The end of a hunt: each kind of failure once more alone, kept as a capsule, with the lines that reproduce it.
#pragma once

#include <string>
#include <vector>

#include "cli/hunt_crew.h"
#include "cli/hunt_result.h"
#include "cli/interrupt.h"

namespace twinwire::cli {

struct FindingFolders {
  std::string capsules;
  std::string corpus;  // where they are kept minimised as well; empty: they are not
};

struct Findings {
  ExitCode code = ExitCode::pass;  // of the gravest
  std::vector<FoundFailure> failures;
};

// Prints them as well. Once Ctrl-C has come twice, none is run again: its capsule goes by the seed.
Findings report_findings(const Tool& tool, const HuntPlan& plan,
                         const std::vector<HuntFailure>& failures, const FindingFolders& folders,
                         Duration hang_after, bool cut_short, const Interrupt& interrupt);

// "3 kinds of failure", or that there is none; and what of one failure is told before what reproduces it.
// `cut_short`: seeds that were meant to run did not.
void print_number_of_kinds(std::size_t kinds, bool cut_short);
void print_failure(const std::string& key, std::uint64_t count, std::uint64_t lowest_seed,
                   const std::string& detail);

}  // namespace twinwire::cli
