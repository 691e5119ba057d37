// SPDX-License-Identifier: Apache-2.0
// PlantsCases: the cases of every exhaustive mode over one transport in one scattered order, so that from any starting
// point a few of them go through all modes, kinds of fault and places alike.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "props/exhaustive/mode.h"

namespace twinwire::cli {

class PlantsCases {
 public:
  // Learns from benign runs: requires that no plant is live.
  PlantsCases(const laws::Registry& registry, std::size_t transport, StackPool& stacks);

  std::uint64_t size() const noexcept { return cases_.size(); }
  // The nth of the round that starts there.
  laws::WorldRun run(std::uint64_t start, std::uint64_t nth) const;

 private:
  struct Entry {
    std::uint32_t plan;
    std::uint32_t number;  // of its case
  };

  const laws::Registry* registry_;
  std::size_t transport_;
  std::vector<exhaustive::Plan> plans_;
  std::vector<Entry> cases_;
  std::uint64_t step_ = 1;  // has no divisor in common with the number of cases: none is met twice
};

}  // namespace twinwire::cli
