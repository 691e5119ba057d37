// SPDX-License-Identifier: Apache-2.0
// One measured run of `bench transports`: ours in the World, ours over loopback, or a peer's over loopback. Each in
// processes of its own, which are gone when the call returns. They throw Failure, in one sentence.
#pragma once

#include <string>

#include "props/peers/work.h"

namespace twinwire::cli {

// Both ends in one process; `wall_ns` of the report is processor time.
peers::Report bench_in_world(std::size_t transport, const peers::Work& work);
// Client and server, a process each.
peers::Report bench_on_ring(std::size_t transport, const peers::Work& work);
peers::Report bench_peer(const std::string& program, std::size_t transport,
                         const peers::Work& work);

// What `program version` prints: a sentence about the peers.
std::string peers_version(const std::string& program);

}  // namespace twinwire::cli
