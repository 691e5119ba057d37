// SPDX-License-Identifier: Apache-2.0
#include "props/laws/registry.h"
#include "props/laws/scenarios/accepting.h"
#include "props/laws/scenarios/limits.h"
#include "props/laws/scenarios/ping_pong.h"
#include "props/laws/scenarios/strict_reader.h"
#include "props/laws/scenarios/traffic.h"

namespace twinwire::laws {

Registry built_in_scenarios() {
  Registry registry;
  registry.add<Traffic>();
  registry.add<StrictReader>();
  registry.add<Accepting>();
  registry.add<Limits>();
  registry.add<PingPong>();
  return registry;
}

}  // namespace twinwire::laws
