// SPDX-License-Identifier: Apache-2.0
// Survey: what a benign run asks chance for, and so every place where something can go wrong in it.
#pragma once

#include <string>
#include <vector>

#include "props/exhaustive/mode.h"
#include "sim/census.h"

namespace twinwire::exhaustive {

struct Asked {
  sim::Site site;
  EntityId entity;
  std::uint64_t occurrence;
  std::uint64_t bound;
};

struct Survey {
  std::vector<Asked> asked;  // in the order of the run
  laws::Verdict verdict;
};

// Runs that world with a census.
Survey survey(laws::WorldRun run, StackPool& stacks);

}  // namespace twinwire::exhaustive
