// SPDX-License-Identifier: Apache-2.0
// Mode (a): every fault at every place where it can meet one connection, from its first byte to its last.
#pragma once

#include "props/exhaustive/mode.h"

namespace twinwire::exhaustive {

Plan plan_stream(const laws::Registry& registry, std::size_t transport, StackPool& stacks);
Plan plan_datagram(const laws::Registry& registry, std::size_t transport, StackPool& stacks);

}  // namespace twinwire::exhaustive
