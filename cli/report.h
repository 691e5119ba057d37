// SPDX-License-Identifier: Apache-2.0
// What the tool prints about a run: what went in, what came out, what the faults did.
#pragma once

#include <cstdint>
#include <string>

#include "cli/exit_code.h"
#include "cli/run_spec.h"
#include "props/laws/fault_account.h"

namespace twinwire::cli {

ExitCode exit_code(laws::VerdictKind kind) noexcept;
// The same of a failure key, "pass" among them.
ExitCode code_of(const std::string& key);

// Every knob that decides the run, before it starts.
void print_echo(const laws::WorldRun& run, const std::string& transport, const std::string& plant);

// The verdict, the knobs as they were read, what each fault did, and the hash.
void print_verdict(const laws::Verdict& verdict);

// "  detail, each line set in"
std::string indented(const std::string& text);

using laws::FaultTallies;
using laws::FaultTally;
// Those that were drawn at all. `seeds`: of a hunt; 0: of one run, and the column of seeds is left out.
std::string format_faults(const FaultTallies& tallies, std::uint64_t seeds);

}  // namespace twinwire::cli
