// SPDX-License-Identifier: Apache-2.0
#include "transport/log/log_options.h"

#include <algorithm>

#include "transport/wire/batch.h"

namespace twinwire::log {

bus::ReplicaId LogOptions::primary() const noexcept { return *std::ranges::min_element(members); }

std::string_view problem_with(const LogOptions& options) noexcept {
  if (options.members.empty()) return "a log needs at least one replica";
  auto sorted = options.members;
  std::ranges::sort(sorted);
  if (std::ranges::adjacent_find(sorted) != sorted.end())
    return "two replicas of a log have the same id";
  if (!std::ranges::binary_search(sorted, options.replica))
    return "this replica is not one of the log's members";
  if (options.uncommitted_max == 0) return "uncommitted_max is 0: nothing could ever be written";
  if (options.sessions_max == 0) return "sessions_max is 0: no client could ever ask";
  if (options.batch_max == 0) return "batch_max is 0: a batch needs at least one entry";
  if (options.window == 0) return "window is 0: no backup would ever be sent anything";
  if (options.retry_every <= Duration::zero()) return "retry_every is not positive";
  if (options.body_max > default_max_message - header_size)
    return "body_max is over 64 MiB less a header, which is the largest message";
  return {};
}

}  // namespace twinwire::log
