// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/private_network.h"
#include "props/oracle/seam_runner.h"
#include "real/ring.h"
#include "real/ring_network.h"

namespace twinwire::oracle {

Result<Outcomes> run_on_ring(const Script& script) {
  auto ring = real::Ring::create({});
  if (!ring) return ring.error();
  Outcomes outcomes;
  {
    real::RingNetwork network(**ring);
    Scope root((*ring)->scheduler());
    root.spawn("script", [&] {
      run_scope((*ring)->scheduler(), [&](Scope& scope) {
        const Address at = loopback_places().at(script.ipv6 ? Place::loop6 : Place::loop4, 0);
        outcomes = SeamRunner(script, network, network, at, ring_pace).run(scope);
      });
    });
    (void)(*ring)->scheduler().run();
    root.rethrow_failure();
  }
  return outcomes;
}

}  // namespace twinwire::oracle
