// SPDX-License-Identifier: Apache-2.0
// What a hunt tells of itself: what each fault did, which states that must come now and then came, and whether that is
// enough. A hunt in which nothing can go wrong finds nothing.
#pragma once

#include <cstdint>

#include "cli/exit_code.h"
#include "cli/hunt_result.h"

namespace CLI {
class App;
}

namespace twinwire::cli {

struct AccountOptions {
  std::uint64_t resample_every = 64;
  bool require_bites = false;
  bool require_states = false;
};
void add_account_options(CLI::App& verb, AccountOptions& options);

// Prints both accounts. `untested` where what the options require did not happen.
ExitCode report_account(const Tool& tool, const HuntResult& result, const AccountOptions& options);
// Of what was counted already: all but how often a seed runs again.
void add_requirements(CLI::App& verb, AccountOptions& options);

}  // namespace twinwire::cli
