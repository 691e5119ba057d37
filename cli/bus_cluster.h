// SPDX-License-Identifier: Apache-2.0
// load --bus --cluster: starts a cluster of processes on this machine, kills each in turn under load, and then compares
// what was acknowledged with what stands in the logs.
#pragma once

#include <cstdint>
#include <string>

#include "cli/exit_code.h"
#include "cli/load_bus.h"

namespace twinwire::cli {

struct BusClusterOptions {
  unsigned replicas = 3;
  bool kill_each = false;
  std::string folder;  // for logs, keys and what the processes print; empty: one that goes with us
  std::string transport;  // of the clients
  // Requests that are to be acknowledged before each kill, while a backup is down, and after each return.
  std::uint64_t between = 500;
};

// Throws Failure, with what the processes said, where the cluster does not come up, or does not go on.
ExitCode run_bus_cluster(const BusClusterOptions& cluster, BusLoadOptions load);

}  // namespace twinwire::cli
