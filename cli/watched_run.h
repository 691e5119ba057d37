// SPDX-License-Identifier: Apache-2.0
// One run in a child process, whose parent sees its steps and takes their absence for a hang.
#pragma once

#include "cli/child.h"
#include "props/laws/run_in_world.h"

namespace twinwire::cli {

inline laws::Verdict run_watched(laws::WorldRun run, Pulse& pulse) {
  const Running running(pulse);
  run.options.progress = &pulse.beats;
  StackPool stacks;
  return laws::run_in_world(run, stacks);
}

}  // namespace twinwire::cli
