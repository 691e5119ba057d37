// SPDX-License-Identifier: Apache-2.0
// Clock: the only way to learn the time. Virtual in the World, CLOCK_MONOTONIC in the Ring.
#pragma once

#include <cstdint>

#include "transport/base/time.h"

namespace twinwire {

class Clock {
 public:
  // Never goes back. The Ring reads it once per loop turn.
  virtual TimePoint now() noexcept = 0;
  // Nanoseconds since 1970-01-01 UTC, as the node believes; may jump. For certificates and logs, not for deadlines.
  virtual std::int64_t unix_now_ns() noexcept = 0;

  Deadline in(Duration d) noexcept { return {now() + d}; }

 protected:
  ~Clock() = default;
};

}  // namespace twinwire
