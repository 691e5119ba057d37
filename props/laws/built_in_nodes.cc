// SPDX-License-Identifier: Apache-2.0
#include "props/laws/built_in.h"
#include "props/laws/scenarios/exchange.h"
#include "props/laws/scenarios/restarts.h"
#include "props/laws/scenarios/ring.h"
#include "props/laws/scenarios/sharing.h"

namespace twinwire::laws {

void add_nodes(Registry& registry) {
  registry.add<Restarts>();
  registry.add<Exchange>();
  registry.add<RingUnderTest>();
  registry.add<Sharing>();
}

}  // namespace twinwire::laws
