// SPDX-License-Identifier: Apache-2.0
// A run in a child, with its trace kept until the end, also where that end is a crash.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/storyteller.h"
#include "cli/tool.h"
#include "props/laws/run_in_world.h"

namespace twinwire::cli {

struct TracedRun {
  std::vector<ToldStep> steps;
  std::string key;
  std::string detail;
  std::uint64_t hash = 0;
  bool cut = false;  // the trace was longer than what is kept
};

TracedRun run_traced_in_child(const laws::WorldRun& run, Duration hang_after);

// The story of it, from "plant" and "key" to the last line; ends with a newline.
std::string story_of(const Tool& tool, const TracedRun& traced, const std::string& transport,
                     const std::string& plant);

}  // namespace twinwire::cli
