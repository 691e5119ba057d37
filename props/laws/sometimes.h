// SPDX-License-Identifier: Apache-2.0
// The list of the states that a healthy suite must reach now and then (transport/base/sometimes.h): what each is, over
// which transports it can come, and the scenario in which it must.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "props/laws/registry.h"
#include "transport/base/sometimes.h"

namespace twinwire::laws {

inline constexpr std::uint64_t often_seeds = 300;
inline constexpr std::uint64_t usual_seeds = 1000;

struct SometimesEntry {
  Sometimes state;
  std::string_view name;
  std::string_view what;              // a sentence that was true at that instant
  std::string_view scenario;          // in which a swarm reaches it
  std::uint32_t transports;           // a bit for each of Transports
  std::uint64_t seeds = usual_seeds;  // so many seeds do not miss it by chance
};

// In the order of Sometimes.
std::span<const SometimesEntry> sometimes_list() noexcept;
const SometimesEntry& entry_of(Sometimes state) noexcept;

// Whether it must come in that scenario over that transport.
bool is_due(const SometimesEntry& entry, std::size_t transport, std::string_view scenario) noexcept;

// How often a state was reached in many runs, and in how many of them.
struct SometimesTally {
  std::uint64_t times = 0;
  std::uint64_t seeds = 0;
};
using SometimesTallies = std::array<SometimesTally, sometimes_count>;
void count_states(SometimesTallies& tallies, const SometimesCounts& reached) noexcept;
void add(SometimesTallies& to, const SometimesTallies& more) noexcept;

// Those that are due there within so many seeds, and never came.
std::vector<Sometimes> missing(const SometimesTallies& tallies, std::size_t transport,
                               std::string_view scenario, std::uint64_t seeds);

}  // namespace twinwire::laws
