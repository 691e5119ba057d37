// SPDX-License-Identifier: Apache-2.0
#include "props/laws/built_in.h"
#include "props/laws/scenarios/bus.h"
#include "props/laws/scenarios/bus_shards.h"
#include "props/laws/scenarios/handshake.h"
#include "props/laws/scenarios/log.h"

namespace twinwire::laws {

void add_bus(Registry& registry) {
  registry.add<Handshake>();
  registry.add<BusUnderTest>();
  registry.add<BusShards>();
  registry.add<ReplicatedLog>();
}

}  // namespace twinwire::laws
