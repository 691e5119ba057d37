// SPDX-License-Identifier: Apache-2.0
// FaultPlan: which faults are on, how likely and how strong. Integers only: parts per million, bytes, nanoseconds.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "sim/site.h"
#include "transport/base/error.h"
#include "transport/base/time.h"

namespace twinwire::sim {

struct Fault {
  std::uint32_t ppm =
      0;  // probability that the choice is not 0, in parts per million of the times it is drawn
  std::uint64_t bound =
      1;  // the choice is then uniform in [1, bound] (less where the site has fewer)
};

inline constexpr std::uint32_t certain = 1'000'000;

struct FaultPlan {
  std::array<Fault, site_count> faults{};

  // Everything benign but the scheduling order, which is always drawn.
  static FaultPlan none() noexcept;
  // A plan drawn from the seed: which faults are on and how strongly. Some bugs hide whenever all are on at once.
  static FaultPlan swarm(std::uint64_t seed) noexcept;

  Fault& operator[](Site site) noexcept { return faults[static_cast<std::size_t>(site)]; }
  const Fault& operator[](Site site) const noexcept {
    return faults[static_cast<std::size_t>(site)];
  }

  // "short_write=0.1" or "segment_delay=0.5:2000000" (probability, then the bound).
  // Errors     invalid (unknown fault, or not a probability)
  Result<void> set(std::string_view text);
  // Every fault that is on, in the form that set() takes, separated by spaces.
  std::string to_text() const;
};

}  // namespace twinwire::sim
