// SPDX-License-Identifier: Apache-2.0
// LogOptions: every knob of the replicated log. What each is good for, and why it has this value: docs/operating.md.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "transport/base/time.h"
#include "transport/bus/ids.h"
#include "transport/wire/header.h"

namespace twinwire::log {

struct LogOptions {
  U128 cluster;
  bus::ReplicaId replica = 0;
  // All replicas, this one among them. The lowest id is the primary, for good.
  std::vector<bus::ReplicaId> members;

  std::size_t body_max = std::size_t{64} * 1024;  // of a request
  std::size_t uncommitted_max = 1024;  // entries; who asks for more meanwhile is told `busy`
  std::size_t sessions_max =
      10'000;                   // clients; beyond it the one that was silent longest is forgotten
  std::size_t batch_max = 256;  // entries that are written, and synced, together
  // Entries that a backup may have been sent and not yet have synced. Under the bus's queue_max.
  std::size_t window = 128;
  // The last entries stay in memory, up to so many bytes: backups that are not far behind are served from there.
  std::size_t cache_bytes = std::size_t{16} << 20;
  // After a send that the bus refused, or without memory.
  Duration retry_every = std::chrono::milliseconds(5);

  bus::ReplicaId primary() const noexcept;
  std::size_t quorum() const noexcept { return members.size() / 2 + 1; }
};

// What is wrong with them, in a sentence; empty where nothing is.
std::string_view problem_with(const LogOptions& options) noexcept;

}  // namespace twinwire::log
