// SPDX-License-Identifier: Apache-2.0
// The nodes that faults name: a rule about a node that no run has would strike nothing, in silence.
#pragma once

#include "cli/run_spec.h"

namespace twinwire::cli {

// Throws Failure(bad_usage) where a fault of the spec names a node that the scenario does not have in any of some runs.
void check_places(const Tool& tool, const RunSpec& spec);

}  // namespace twinwire::cli
