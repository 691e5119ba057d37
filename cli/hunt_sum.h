// SPDX-License-Identifier: Apache-2.0
// The results of the shards of one hunt as the one result that the hunt without shards would have had.
#pragma once

#include <string>
#include <vector>

#include "cli/hunt_result.h"

namespace twinwire::cli {

struct NamedResult {
  std::string name;  // of the file
  HuntResult result;
};

// Requires at least one. Throws Failure(bad_usage) with one sentence that names both files where two are of different
// hunts or builds, or ran the same seed. What nobody ran is for HuntResult::missing() to say.
HuntResult sum_of(const std::vector<NamedResult>& results);

struct MissingSeeds {
  std::string line;  // which shard they are of, and why, as far as the files tell
  // Their hunt had found as many kinds of failure as it was to end at: that failed already, and nothing else is amiss.
  bool after_failures = false;
};
// For each stretch of seeds that is missing.
std::vector<MissingSeeds> missing_seeds(const HuntResult& sum,
                                        const std::vector<NamedResult>& results);

}  // namespace twinwire::cli
