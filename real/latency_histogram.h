// SPDX-License-Identifier: Apache-2.0
// LatencyHistogram: counts of durations in buckets that are powers of two, as Prometheus wants them. To add one costs a
// few instructions and no clock; the memory is fixed.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "transport/base/time.h"

namespace twinwire::real {

class LatencyHistogram {
 public:
  static constexpr std::size_t bounds =
      25;  // 1.024 us, 2.048 us, ... 17.2 s; what is over them is counted, too
  static constexpr std::uint64_t bound_ns(std::size_t i) noexcept {
    return std::uint64_t{1024} << i;
  }

  void add(Duration d) noexcept {
    const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(d.count(), 0));
    // A bucket holds what is at most its bound.
    const auto width = static_cast<std::size_t>(std::bit_width(ns == 0 ? ns : ns - 1));
    ++counts_[width <= 10 ? 0 : std::min(width - 10, bounds)];
    sum_ns_ += ns;
  }

  // Those in bucket `i` alone; i == bounds: those over every bound.
  std::uint64_t count(std::size_t i) const noexcept { return counts_[i]; }
  std::uint64_t sum_ns() const noexcept { return sum_ns_; }

 private:
  std::array<std::uint64_t, bounds + 1> counts_{};
  std::uint64_t sum_ns_ = 0;
};

}  // namespace twinwire::real
