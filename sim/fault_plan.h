// SPDX-License-Identifier: Apache-2.0
// FaultPlan: which faults are on, how likely and how strong. Integers only: parts per million, bytes, nanoseconds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/fault_rule.h"
#include "sim/site.h"
#include "transport/base/error.h"

namespace twinwire::sim {

struct FaultPlan {
  std::array<Fault, site_count> faults{};
  std::vector<FaultRule> rules;
  // From here on nothing goes wrong any more, and what lasted is over (outages, bursts, what struck a node). A stream
  // that silence has struck stays silent: somebody between forgot it. The order of fibers is drawn to the end.
  TimePoint calm = TimePoint::never();

  // Everything benign but the scheduling order, which is always drawn.
  static FaultPlan none() noexcept;
  // A plan drawn from the seed: which faults are on and how strongly. Some bugs hide whenever all are on at once.
  static FaultPlan swarm(std::uint64_t seed);
  // Every fault on in every run, each at the middle of the strengths that a swarm draws from: what a swarm is measured
  // against.
  static FaultPlan all() noexcept;

  Fault& operator[](Site site) noexcept { return faults[static_cast<std::size_t>(site)]; }
  const Fault& operator[](Site site) const noexcept {
    return faults[static_cast<std::size_t>(site)];
  }

  // Switches it off, everywhere and always.
  void off(Site site) noexcept;
  // Whether it is on, somewhere and at some time.
  bool may_strike(Site site) const noexcept;

  // "short_write=0.1" or "segment_delay=0.5:2000000" (probability, then the bound), or a rule (fault_rule.h), or
  // "calm=5s".
  // Errors     invalid (unknown fault, or not a probability)
  Result<void> set(std::string_view text);
  // Every fault that is on, in the form that set() takes, separated by spaces.
  std::string to_text() const;
};

// The occurrence under which is drawn what the plan's nth rule puts at an instant, at a node or on a direction: apart
// from those of what may happen at any.
constexpr std::uint64_t appointment(Site site, std::size_t nth) noexcept {
  return (strikes_node(site) ? std::uint64_t{1} << 48 : std::uint64_t{1}) + nth;
}

}  // namespace twinwire::sim
