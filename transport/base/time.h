// SPDX-License-Identifier: Apache-2.0
// Time as a value: whole nanoseconds, no clock. Clocks are handed in (transport/net/clock.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

namespace twinwire {

using Duration = std::chrono::nanoseconds;

// Nanoseconds since some origin that the clock's owner chose; only differences mean anything.
struct TimePoint {
  std::int64_t ns = 0;

  static constexpr TimePoint never() noexcept {
    return {std::numeric_limits<std::int64_t>::max()};
  }
  friend constexpr auto operator<=>(TimePoint, TimePoint) noexcept = default;
};

// Saturates: never() + anything is never().
constexpr TimePoint operator+(TimePoint t, Duration d) noexcept {
  std::int64_t sum = 0;
  if (t == TimePoint::never() || __builtin_add_overflow(t.ns, d.count(), &sum))
    return TimePoint::never();
  return {sum};
}
constexpr Duration operator-(TimePoint a, TimePoint b) noexcept { return Duration(a.ns - b.ns); }

// The instant at which an operation gives up with Errc::timed_out. Every operation takes one.
struct Deadline {
  TimePoint at = TimePoint::never();

  static constexpr Deadline never() noexcept { return {}; }
  friend constexpr auto operator<=>(Deadline, Deadline) noexcept = default;
};

constexpr Deadline earlier(Deadline a, Deadline b) noexcept { return a < b ? a : b; }

}  // namespace twinwire
