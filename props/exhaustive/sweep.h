// SPDX-License-Identifier: Apache-2.0
// Sweep: the cases of a plan run in this process, for tests. `twinwire exhaust` runs them in workers that may die.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "props/exhaustive/mode.h"

namespace twinwire::exhaustive {

struct Sweep {
  std::uint64_t cases = 0;
  std::array<std::uint64_t, outcomes_max> outcomes{};
  // Failure keys with how often, and the first case of each in words.
  std::map<std::string, std::uint64_t> broken;
  std::string first;
};

// Every nth case of each kind. `until`: ends once that failure key was seen.
Sweep sweep(const laws::Registry& registry, std::size_t transport, const Plan& plan,
            std::uint64_t every, StackPool& stacks, std::string_view until = {});

}  // namespace twinwire::exhaustive
