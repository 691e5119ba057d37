// SPDX-License-Identifier: Apache-2.0
// What the clients of a cluster were told, against what stands in its files, and what its replicas say that they have
// applied.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/load_bus.h"
#include "cli/log_file.h"

namespace twinwire::cli {

// What a replica prints at its end: how many requests it has applied, and their sum.
struct PrintedTally {
  std::uint64_t applied = 0;
  std::uint64_t sum = 0;
};
// The last one in that text.
std::optional<PrintedTally> last_tally_in(const std::string& text);

struct ClusterEvidence {
  std::vector<std::vector<LogFileEntry>> logs;  // of each replica, the primary's first
  std::span<const BusLoadResult> results;       // of each client
  std::uint64_t first_client = 0;               // the label of the first
  // All were up, have applied everything and were ended in order; else what was acknowledged is asked for on a
  // majority only, and no tally.
  bool settled = false;
  std::vector<std::optional<PrintedTally>> tallies;  // of each replica, if settled
};

struct ClusterVerdict {
  std::vector<std::string> wrong;  // a sentence for each thing that is
  std::uint64_t applied = 0;       // requests that were acknowledged, and stand in the longest log
  std::uint64_t beyond = 0;        // those there that nobody was told of
  std::vector<std::uint64_t> copies_of;  // at n: of the acknowledged, how many stand in n logs
};

ClusterVerdict judge_cluster(const ClusterEvidence& evidence);

}  // namespace twinwire::cli
