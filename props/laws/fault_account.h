// SPDX-License-Identifier: Apache-2.0
// The account of each fault over many runs: drawn, struck, bit, and how often it changed what the program saw. A fault
// that is on and never does anything makes a hunt look thorough that is not.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "props/laws/run_in_world.h"

namespace twinwire::laws {

struct FaultTally {
  sim::SiteCount count;
  std::uint64_t seeds_on = 0;   // in which the plan let it strike
  std::uint64_t seeds_bit = 0;  // in which it bit
  std::uint64_t reruns = 0;     // in which one of its decisions was neutralised (resample.h)
  std::uint64_t changed = 0;    // of these, where the program then saw something else
};
using FaultTallies = std::array<FaultTally, sim::site_count>;

void count_faults(FaultTallies& tallies, const sim::RunReport& report) noexcept;
void add(FaultTallies& to, const FaultTallies& more) noexcept;

// Whether a fault can meet that transport at all: streams lose no datagrams, and who has no certificates asks for
// no date. `transport`: index into Transports. `nodes`: ScenarioEntry::starts_nodes. `kernel`: its plays_kernel.
bool meets(sim::Site site, std::size_t transport, bool nodes, bool kernel = false) noexcept;

// From how many on an absence is no chance.
struct Enough {
  std::uint64_t seeds_on = 1000;
  std::uint64_t struck = 100;
};
struct Toothless {
  sim::Site site;
  bool drawn;  // it struck, and never bit; else it was on, and never drawn
};
// The faults that can meet the transport, had every chance, and did nothing.
std::vector<Toothless> toothless(const FaultTallies& tallies, std::size_t transport, bool nodes,
                                 const Enough& enough, bool kernel = false);

}  // namespace twinwire::laws
