// SPDX-License-Identifier: Apache-2.0
// One measured run of `bench real`: ours, or a peer's. A process for each end, gone when the call returns. They throw
// Failure, in one sentence.
#pragma once

#include <string>
#include <vector>

#include "props/peers/real/real_work.h"

namespace twinwire::cli {

// The processor that each end stays on; -1: any that this process may use.
struct BenchCores {
  int server = -1;
  int client = -1;
};

// `coalesce_below`: of the client's connections (ConnOptions).
peers::RealReport bench_real_ours(const BenchCores& cores, const peers::RealWork& work,
                                  std::size_t coalesce_below);
peers::RealReport bench_real_peer(const BenchCores& cores, const peers::RealWork& work,
                                  const std::string& program, const std::string& peer);

struct RealPeerName {
  std::string name;
  std::vector<std::string> kinds;  // of work that it does
  std::string what;
};
std::vector<RealPeerName> real_peers_of(const std::string& program);

}  // namespace twinwire::cli
