// SPDX-License-Identifier: Apache-2.0
// Runs a script with plain system calls: the truth, which must not depend on any code of ours below the seam.
#pragma once

#include "props/oracle/outcome.h"
#include "props/oracle/private_network.h"
#include "props/oracle/script.h"

namespace twinwire::oracle {

// Over loopback, where packets arrive at once; a hop cannot be had there. Requires settled(script).
Outcomes run_on_loopback(const Script& script);
// Over a wire whose packets arrive when the script says so.
Outcomes run_on_wire(const Script& script, HeldWire& wire);

}  // namespace twinwire::oracle
