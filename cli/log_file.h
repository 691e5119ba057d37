// SPDX-License-Identifier: Apache-2.0
// The file of a replica's log, read by somebody who only looks: what stands in it, entry by entry.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace twinwire::cli {

struct LogFileEntry {
  std::uint64_t checksum = 0;
  bool is_request = false;   // else it begins a session
  std::uint64_t client = 0;  // of a request: its label
  std::uint64_t number = 0;
  // What a tally of all requests up to this entry gives (bus_tally.h).
  std::uint64_t applied = 0;
  std::uint64_t sum = 0;
};

// Its entries, up to the first that is not whole. Throws Failure(bad_usage) where it is no log, or cannot be read.
std::vector<LogFileEntry> read_log_file(const std::string& path);

}  // namespace twinwire::cli
