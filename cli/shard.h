// SPDX-License-Identifier: Apache-2.0
// Shard: one of several equal parts of a range of seeds, for as many processes or machines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace twinwire::cli {

// Counted from 1, as Playwright and Jest count, and as a Slurm array from 1 does: "3/7" is the third of seven.
struct Shard {
  std::uint64_t index = 1;
  std::uint64_t of = 1;

  friend bool operator==(const Shard&, const Shard&) = default;
};

// Seeds, or their offsets: `count` of them from `first` on.
struct SeedRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;

  std::uint64_t end() const noexcept { return first + count; }
  friend bool operator==(const SeedRange&, const SeedRange&) = default;
};

// "3/7"; throws Failure(bad_usage) with one sentence.
Shard parse_shard(std::string_view text);
std::string to_text(const Shard& shard);
// "17", "17 to 23"
std::string to_text(const SeedRange& seeds);

// The parts of all shards follow each other without a gap, and their sizes differ by at most one.
// Requires 1 <= index <= of; of > whole.count gives empty parts.
SeedRange part_of(const SeedRange& whole, const Shard& shard) noexcept;

}  // namespace twinwire::cli
