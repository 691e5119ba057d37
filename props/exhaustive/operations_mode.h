// SPDX-License-Identifier: Apache-2.0
// Modes (b) and (c): the calls of the message seam, and the fibers behind them. Each is told to stop at each of its
// suspensions; each allocation finds no memory. What may come of it: docs/exhaustive_cancel.md.
#pragma once

#include "props/exhaustive/mode.h"

namespace twinwire::exhaustive {

Plan plan_cancel(const laws::Registry& registry, std::size_t transport, StackPool& stacks);
Plan plan_memory(const laws::Registry& registry, std::size_t transport, StackPool& stacks);

}  // namespace twinwire::exhaustive
