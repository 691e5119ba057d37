// SPDX-License-Identifier: Apache-2.0
// Histogram: counts of durations, to within 3 %, in fixed memory.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace twinwire::cli {

class Histogram {
 public:
  void add(std::uint64_t ns) noexcept {
    ++counts_[index(ns)];
    ++total_;
  }
  void add(const Histogram& other) noexcept {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    total_ += other.total_;
  }
  std::uint64_t total() const noexcept { return total_; }

  // The value that `part` of 1,000 of all values do not exceed.
  std::uint64_t per_mille(std::uint64_t part) const noexcept {
    const std::uint64_t rank = (total_ * part + 999) / 1000;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i)
      if ((seen += counts_[i]) >= rank && seen != 0) return upper(i);
    return 0;
  }

 private:
  // 32 buckets for each power of two.
  static std::size_t index(std::uint64_t value) noexcept {
    if (value < 32) return static_cast<std::size_t>(value);
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - 6;
    return shift * 32 + static_cast<std::size_t>(value >> shift);
  }
  static std::uint64_t upper(std::size_t i) noexcept {
    if (i < 64) return i;
    const std::size_t shift = i / 32 - 1;
    return ((i % 32 + 33) << shift) - 1;
  }

  std::array<std::uint64_t, 60 * 32> counts_{};
  std::uint64_t total_ = 0;
};

}  // namespace twinwire::cli
