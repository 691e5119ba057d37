// SPDX-License-Identifier: Apache-2.0
// HashCost: what the hash of a run costs, measured beside the run.
//
// The hash cannot be switched off, so its share is measured from the other side: traced runs of some seeds say how many
// steps were folded and how large the deliveries were that were digested; then the same folds and digests run alone, by
// the code that the World runs. An estimate: in the World the processor has other work while a fold waits for the one
// before, which makes the hash cheaper there, and its bytes may have left the nearest cache, which makes it dearer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "props/laws/run_in_world.h"

namespace twinwire::cli {

class HashCost {
 public:
  // One more seed whose hash is to be made again. It must pass.
  void sample(laws::WorldRun run, StackPool& stacks);

  std::uint64_t steps() const noexcept { return steps_; }
  std::uint64_t folds() const noexcept { return folds_; }
  std::uint64_t bytes() const noexcept { return bytes_; }
  // Of processor time, for a step of the sampled runs with all that was hashed for it. Measured anew at each call.
  double seconds_per_step();

 private:
  std::uint64_t steps_ = 0;
  std::uint64_t folds_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t hash_ = 0;               // kept, lest a compiler compute none
  std::vector<std::size_t> deliveries_;  // sizes, in the order of the runs
};

}  // namespace twinwire::cli
