// SPDX-License-Identifier: Apache-2.0
// LogCounters: what a replica of the log counts. What to make of each: docs/operating.md.
#pragma once

#include <cstdint>

namespace twinwire::log {

struct LogCounters {
  // --- Of every replica ----------------------------------------------------------------------------------------------
  std::uint64_t appended = 0;  // entries that it wrote
  std::uint64_t syncs = 0;     // each for a batch of them
  std::uint64_t applied =
      0;                  // requests given to the application, those of before a restart included
  std::uint64_t bad = 0;  // messages that may not be, whose sender was dropped
  std::uint64_t refused_sends =
      0;  // that were tried again later: a queue was full, or there was no memory
  // --- Of the primary ------------------------------------------------------------------------------------------------
  std::uint64_t requests = 0;
  std::uint64_t answered = 0;
  std::uint64_t answered_again = 0;  // asked for again after they had been applied
  std::uint64_t busy = 0;            // told so: too much was uncommitted, or there was no memory
  std::uint64_t unknown = 0;         // of sessions that there are not
  std::uint64_t sent = 0;            // entries, to backups
  std::uint64_t sent_again =
      0;  // of those, the ones that this process had sent to that backup before
  std::uint64_t read_back = 0;  // of those, the ones that were not in memory any more
  // --- Of a backup ---------------------------------------------------------------------------------------------------
  std::uint64_t duplicates = 0;  // entries that it had
  std::uint64_t gaps = 0;        // entries that came too early; the connection was dropped
};

}  // namespace twinwire::log
