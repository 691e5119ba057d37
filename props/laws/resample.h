// SPDX-License-Identifier: Apache-2.0
// What a fault changed: the run once more without one of its decisions. Decisions are keyed, so nothing else changes
// but what follows from that; where the program then sees the same, the fault had changed nothing that counts.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "props/laws/run_in_world.h"

namespace twinwire::laws {

// The one to take out: first a site, evenly among those that struck, so that rare faults get a share; then one of its
// decisions, evenly. By the seed alone. Nothing where nothing struck.
std::optional<sim::Decision> decision_to_take_out(std::uint64_t seed,
                                                  std::span<const sim::Decision> decisions);

// The run with `decision` neutralised, and its outcome kept.
Verdict run_without(WorldRun run, const sim::Decision& decision, StackPool& stacks);

}  // namespace twinwire::laws
