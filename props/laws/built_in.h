// SPDX-License-Identifier: Apache-2.0
// The parts of built_in_scenarios(), in its order. Each compiles its scenarios for every transport, which is most of
// what compiling this project takes: so each is a file, and they are compiled beside each other.
#pragma once

#include "props/laws/registry.h"

namespace twinwire::laws {

void add_connections(Registry& registry);  // how one is made, used and ended
void add_exchanges(Registry& registry);    // what is said over them
void add_nodes(Registry& registry);        // what runs programs, or many users of one
void add_bus(Registry& registry);          // the bus, and what stands on it

}  // namespace twinwire::laws
