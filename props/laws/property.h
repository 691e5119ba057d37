// SPDX-License-Identifier: Apache-2.0
// A property over seeds: rapidcheck draws the seed and nothing else, and never shrinks it. What a failure prints is the
// line that replays it.
#pragma once

#include <string>
#include <string_view>

#include "props/laws/run_in_world.h"

namespace twinwire::laws {

// Runs `scenario` over `count` seeds that rapidcheck draws, each under its swarm of faults. True if every law held;
// otherwise prints the verdict and the replay line to standard error. `transport` is an index into Transports.
bool holds_over_seeds(std::string_view scenario, std::size_t transport, int count);

// The command that replays a seed of a scenario under its swarm.
std::string replay_line(std::string_view scenario, std::string_view transport, std::uint64_t seed);

}  // namespace twinwire::laws
