// SPDX-License-Identifier: Apache-2.0
// Subject: the run that replay, trace and diff are asked about, given as a seed or as a capsule's path.
#pragma once

#include <optional>
#include <string>

#include "cli/capsule.h"
#include "cli/run_options.h"

namespace twinwire::cli {

struct Subject {
  std::string text;  // as it was given
  std::uint64_t seed = 0;
  std::string transport;
  std::string plant;
  laws::WorldRun run;
  std::optional<Capsule> capsule;
};

// Throws Failure. May become the planted executable, if the run needs a planted bug.
// `as_decisions`: a capsule's run is made from its decisions alone, over a world in which nothing else is drawn.
Subject make_subject(const Tool& tool, RunOptions& options, const std::string& text,
                     bool as_decisions);

// How many of the capsule's decisions the run still asked for, of 100. `verdict` is that of a run with `record` on.
unsigned percent_still_occurring(const Capsule& capsule, const laws::Verdict& verdict,
                                 bool as_decisions);

}  // namespace twinwire::cli
