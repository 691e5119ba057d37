// SPDX-License-Identifier: Apache-2.0
#include "props/laws/built_in.h"
#include "props/laws/scenarios/impostors.h"
#include "props/laws/scenarios/operations.h"
#include "props/laws/scenarios/ping_pong.h"
#include "props/laws/scenarios/recovery.h"
#include "props/laws/scenarios/requests.h"
#include "props/laws/scenarios/unread.h"

namespace twinwire::laws {

void add_exchanges(Registry& registry) {
  registry.add<Unread>();
  registry.add<Impostors>();
  registry.add<Requests>();
  registry.add<Recovery>();
  registry.add<Operations>();
  registry.add<PingPong>();
}

}  // namespace twinwire::laws
