// SPDX-License-Identifier: Apache-2.0
// What one process of a hunt does: claims chunks of seeds and runs them, one fresh World each.
#pragma once

#include <cstdint>

#include "cli/hunt_board.h"
#include "cli/run_spec.h"

namespace twinwire::cli {

struct HuntPlan {
  RunSpec spec;
  std::uint64_t first_seed = 1;
  std::uint64_t count = 0;   // of seeds; offsets are in [0, count)
  std::uint64_t before = 0;  // seeds of the hunt before the first: those of the shards before this
  std::uint64_t chunk = 64;  // claimed at one time
  std::uint64_t verify_every =
      256;  // one seed in so many runs twice, and must give the same hash; 0: none
  // One seed in so many runs once more without one of its decisions (resample.h), to see what faults change; 0: none.
  std::uint64_t resample_every = 64;

  std::uint64_t seed(std::uint64_t offset) const noexcept { return first_seed + offset; }
};

// The body of a worker process. Goes on at slot.offset within its chunk, where a worker before it died.
// `hashes`: by offset, or nullptr.
int run_hunt_worker(const Tool& tool, const HuntPlan& plan, HuntBoard& board, HuntSlot& slot,
                    std::uint64_t* hashes);

}  // namespace twinwire::cli
