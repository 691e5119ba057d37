// SPDX-License-Identifier: Apache-2.0
// Draws scripts.
#pragma once

#include <cstdint>

#include "props/oracle/script.h"

namespace twinwire::oracle {

// The same seed gives the same script, on every machine.
Script script_of(std::uint64_t seed);

}  // namespace twinwire::oracle
