// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/seam_runner.h"
#include "sim/sim_network.h"
#include "transport/base/check.h"

namespace twinwire::oracle {

Outcomes run_in_world(const Script& script) {
  static StackPool stacks;
  sim::WorldOptions options;
  options.latency = world_pace.hop;
  sim::World world(options, stacks);
  sim::SimNetwork& listener = world.add_node("b");
  sim::SimNetwork& dialer = world.add_node("a");
  Outcomes outcomes;
  const sim::RunReport report = world.run([&](Scope& scope) {
    const Address at = script.ipv6 ? listener.address6(4000) : listener.address(4000);
    outcomes = SeamRunner(script, dialer, listener, at, world_pace).run(scope);
  });
  TWINWIRE_CHECK(report.ending == sim::Ending::finished && report.leaked_sockets == 0 &&
                     report.leaked_buffers == 0,
                 "a script leaves nothing behind");
  return outcomes;
}

}  // namespace twinwire::oracle
