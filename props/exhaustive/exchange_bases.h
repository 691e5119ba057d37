// SPDX-License-Identifier: Apache-2.0
// The benign worlds of `exchange` whose every place is broken: who closes first, and where the transport has them,
// versions and options that change what bytes travel. Nothing is left to the seed.
#pragma once

#include <vector>

#include "props/exhaustive/mode.h"

namespace twinwire::exhaustive {

// One that a fault may kill, and behind each its twin, of which nothing may be lost (knob `harmless`).
std::vector<Base> exchange_bases(std::size_t transport);

}  // namespace twinwire::exhaustive
