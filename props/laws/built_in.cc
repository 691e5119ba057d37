// SPDX-License-Identifier: Apache-2.0
#include "props/laws/registry.h"
#include "props/laws/scenarios/accepting.h"
#include "props/laws/scenarios/bus.h"
#include "props/laws/scenarios/bus_shards.h"
#include "props/laws/scenarios/crowd.h"
#include "props/laws/scenarios/exchange.h"
#include "props/laws/scenarios/farewell.h"
#include "props/laws/scenarios/handshake.h"
#include "props/laws/scenarios/impostors.h"
#include "props/laws/scenarios/limits.h"
#include "props/laws/scenarios/operations.h"
#include "props/laws/scenarios/ping_pong.h"
#include "props/laws/scenarios/recovery.h"
#include "props/laws/scenarios/requests.h"
#include "props/laws/scenarios/restarts.h"
#include "props/laws/scenarios/ring.h"
#include "props/laws/scenarios/sharing.h"
#include "props/laws/scenarios/strict_reader.h"
#include "props/laws/scenarios/traffic.h"
#include "props/laws/scenarios/unread.h"

namespace twinwire::laws {

Registry built_in_scenarios() {
  Registry registry;
  registry.add<Traffic>();
  registry.add<StrictReader>();
  registry.add<Accepting>();
  registry.add<Crowd>();
  registry.add<Limits>();
  registry.add<Farewell>();
  registry.add<Unread>();
  registry.add<Impostors>();
  registry.add<Requests>();
  registry.add<Recovery>();
  registry.add<Operations>();
  registry.add<PingPong>();
  registry.add<Restarts>();
  registry.add<Exchange>();
  registry.add<RingUnderTest>();
  registry.add<Sharing>();
  registry.add<Handshake>();
  registry.add<BusUnderTest>();
  registry.add<BusShards>();
  return registry;
}

}  // namespace twinwire::laws
