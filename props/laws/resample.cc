// SPDX-License-Identifier: Apache-2.0
#include "props/laws/resample.h"

#include <array>

#include "transport/base/mix.h"

namespace twinwire::laws {
namespace {

std::uint64_t below(std::uint64_t bits, std::uint64_t bound) noexcept {
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(scramble(bits)) * bound) >> 64);
}

}  // namespace

std::optional<sim::Decision> decision_to_take_out(std::uint64_t seed,
                                                  std::span<const sim::Decision> decisions) {
  std::array<std::uint64_t, sim::site_count> struck{};
  std::uint64_t sites = 0;
  for (const sim::Decision& decision : decisions)
    if (struck[static_cast<std::size_t>(decision.site)]++ == 0) ++sites;
  if (sites == 0) return std::nullopt;
  const std::uint64_t key = mix(seed, 0x7e5a);
  std::uint64_t nth_site = below(key, sites);
  std::size_t site = 0;
  while (struck[site] == 0 || nth_site-- != 0) ++site;
  std::uint64_t nth = below(key + 1, struck[site]);
  for (const sim::Decision& decision : decisions)
    if (static_cast<std::size_t>(decision.site) == site && nth-- == 0) return decision;
  return std::nullopt;
}

Verdict run_without(WorldRun run, const sim::Decision& decision, StackPool& stacks) {
  run.options.edits.push_back(decision);
  run.options.edits.back().choice = 0;
  run.outcome = true;
  return run_in_world(run, stacks);
}

}  // namespace twinwire::laws
