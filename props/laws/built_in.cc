// SPDX-License-Identifier: Apache-2.0
#include "props/laws/built_in.h"

namespace twinwire::laws {

Registry built_in_scenarios() {
  Registry registry;
  add_connections(registry);
  add_exchanges(registry);
  add_nodes(registry);
  add_bus(registry);
  return registry;
}

}  // namespace twinwire::laws
