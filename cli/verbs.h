// SPDX-License-Identifier: Apache-2.0
// The verbs. Each stands in a file of its name and adds itself to the command line; what it returns is the exit code.
#pragma once

#include "cli/tool.h"

namespace CLI {
class App;
}

namespace twinwire::cli {

void add_list(CLI::App& app, const Tool& tool, ExitCode& code);
void add_run(CLI::App& app, const Tool& tool, ExitCode& code);
void add_hunt(CLI::App& app, const Tool& tool, ExitCode& code);
void add_merge(CLI::App& app, const Tool& tool, ExitCode& code);
void add_replay(CLI::App& app, const Tool& tool, ExitCode& code);
void add_trace(CLI::App& app, const Tool& tool, ExitCode& code);
void add_diff(CLI::App& app, const Tool& tool, ExitCode& code);
void add_minimise(CLI::App& app, const Tool& tool, ExitCode& code);
void add_story(CLI::App& app, const Tool& tool, ExitCode& code);
void add_exhaust(CLI::App& app, const Tool& tool, ExitCode& code);
void add_plants(CLI::App& app, const Tool& tool, ExitCode& code);
void add_bench(CLI::App& app, const Tool& tool, ExitCode& code);
void add_bench_transports(CLI::App& bench, ExitCode& code);  // a verb of bench
void add_bench_real(CLI::App& bench, ExitCode& code);        // others
void add_bench_idle(CLI::App& bench, ExitCode& code);
void add_bench_bus(CLI::App& bench, ExitCode& code);
void add_bench_shards(CLI::App& bench, ExitCode& code);
void add_serve(CLI::App& app, const Tool& tool, ExitCode& code);
void add_load(CLI::App& app, const Tool& tool, ExitCode& code);
void add_probe(CLI::App& app, const Tool& tool, ExitCode& code);

}  // namespace twinwire::cli
