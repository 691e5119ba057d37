// SPDX-License-Identifier: Apache-2.0
// run_on_ring: the same scenario over real sockets on this machine's loopback, both ends in one process.
#pragma once

#include "props/laws/registry.h"
#include "props/laws/run_in_world.h"
#include "real/ring.h"

namespace twinwire::laws {

struct RingVerdict {
  VerdictKind kind = VerdictKind::pass;
  std::string law;
  std::string detail;
  std::vector<Knob> knobs_read;
  std::vector<std::string> knobs_unread;
};

RingVerdict run_on_ring(const ScenarioEntry& scenario, std::size_t transport, std::uint64_t seed,
                        std::vector<Knob> knobs, real::Ring& ring);

}  // namespace twinwire::laws
