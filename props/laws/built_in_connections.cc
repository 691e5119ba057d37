// SPDX-License-Identifier: Apache-2.0
#include "props/laws/built_in.h"
#include "props/laws/scenarios/accepting.h"
#include "props/laws/scenarios/crowd.h"
#include "props/laws/scenarios/farewell.h"
#include "props/laws/scenarios/limits.h"
#include "props/laws/scenarios/strict_reader.h"
#include "props/laws/scenarios/traffic.h"

namespace twinwire::laws {

void add_connections(Registry& registry) {
  registry.add<Traffic>();
  registry.add<StrictReader>();
  registry.add<Accepting>();
  registry.add<Crowd>();
  registry.add<Limits>();
  registry.add<Farewell>();
}

}  // namespace twinwire::laws
