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

  static constexpr TimePoint never() noexcept { return {std::numeric_limits<std::int64_t>::max()}; }
  friend constexpr auto operator<=>(TimePoint, TimePoint) noexcept = default;
};

// Saturates at both ends: what is too late is never(), what is too early is the earliest instant, and never() +
// anything is never().
constexpr TimePoint operator+(TimePoint t, Duration d) noexcept {
  std::int64_t sum = 0;
  if (t == TimePoint::never()) return t;
  if (__builtin_add_overflow(t.ns, d.count(), &sum))
    return d < Duration::zero() ? TimePoint{std::numeric_limits<std::int64_t>::min()}
                                : TimePoint::never();
  return {sum};
}
// Saturates too.
constexpr Duration operator-(TimePoint a, TimePoint b) noexcept {
  std::int64_t difference = 0;
  if (__builtin_sub_overflow(a.ns, b.ns, &difference))
    return a < b ? Duration::min() : Duration::max();
  return Duration(difference);
}

// The instant at which an operation gives up with Errc::timed_out. Every operation takes one.
struct Deadline {
  TimePoint at = TimePoint::never();

  static constexpr Deadline never() noexcept { return {}; }
  friend constexpr auto operator<=>(Deadline, Deadline) noexcept = default;
};

constexpr Deadline earlier(Deadline a, Deadline b) noexcept { return a < b ? a : b; }

}  // namespace twinwire
