// SPDX-License-Identifier: Apache-2.0
// The options that every verb with a run in it shares, from the command line to a RunSpec that makes sense.
#pragma once

#include <string>
#include <vector>

#include "cli/run_spec.h"
#include "transport/base/time.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace twinwire::cli {

// Throws Failure(bad_usage) where that is no duration, or none at all: then every run would be a hang, or none.
Duration parse_hang_after(const std::string& text);

struct RunOptions {
  RunSpec spec;
  bool swarm = false;
  bool no_faults = false;
  bool all_faults = false;
  std::vector<std::string> knobs;
  std::string hang_after = "10s";
  bool in_process = false;
  std::vector<CLI::Option*> of_a_spec;  // those that a capsule makes needless

  bool any_of_a_spec() const;
  Duration hang_after_parsed() const;
};

void add_run_options(CLI::App& verb, RunOptions& options);

// Checks what was given, fills in `options.spec`, and makes the plant live (which may become another executable).
void settle(const Tool& tool, RunOptions& options);

}  // namespace twinwire::cli
