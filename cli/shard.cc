// SPDX-License-Identifier: Apache-2.0
#include "cli/shard.h"

#include <algorithm>

#include "cli/exit_code.h"
#include "cli/text.h"

namespace twinwire::cli {

Shard parse_shard(std::string_view text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  const auto index = parse_u64(text.substr(0, slash));
  const auto of = parse_u64(text.substr(std::min(slash + 1, text.size())));
  if (index && of && *index >= 1 && *index <= *of) return {*index, *of};
  bad_usage("'" + std::string(text) +
            "' is no shard: write I/N with I from 1 to N, such as 3/7 for the third of seven" +
            (index && of && *index == 0 ? "; where a scheduler counts from 0, add 1" : ""));
}

std::string to_text(const Shard& shard) {
  return std::to_string(shard.index) + "/" + std::to_string(shard.of);
}

std::string to_text(const SeedRange& seeds) {
  const std::string first = std::to_string(seeds.first);
  return seeds.count <= 1 ? first : first + " to " + std::to_string(seeds.end() - 1);
}

SeedRange part_of(const SeedRange& whole, const Shard& shard) noexcept {
  const std::uint64_t size = whole.count / shard.of;
  const std::uint64_t larger = whole.count % shard.of;  // the first parts have one seed more
  const std::uint64_t before = shard.index - 1;
  return {whole.first + before * size + std::min(before, larger), size + (before < larger ? 1 : 0)};
}

}  // namespace twinwire::cli
