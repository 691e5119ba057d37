// SPDX-License-Identifier: Apache-2.0
#include "cli/tool.h"

#include <cstdio>
#include <exception>

#include "cli/verbs.h"
#include "transport/fiber/overflow.h"

namespace twinwire::cli {
namespace {

ExitCode parse_and_run(const Tool& tool) {
  ExitCode code = ExitCode::pass;
  CLI::App app(
      "Runs message transports in a simulated world, where a seed decides everything, and on "
      "io_uring.",
      "twinwire");
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  app.footer(exit_code_help);
  add_list(app, tool, code);
  add_run(app, tool, code);
  add_hunt(app, tool, code);
  add_replay(app, tool, code);
  add_trace(app, tool, code);
  add_diff(app, tool, code);
  add_plants(app, tool, code);
  add_bench(app, tool, code);
  add_serve(app, tool, code);
  add_load(app, tool, code);
  for (CLI::App* verb : app.get_subcommands({})) verb->footer(exit_code_help);
  try {
    app.parse(tool.argc, tool.argv);
  } catch (const CLI::Success& asked_for_help) {
    app.exit(asked_for_help);
    return ExitCode::pass;
  } catch (const CLI::ParseError& error) {
    throw Failure(ExitCode::bad_usage,
                  std::string(error.what()) + "; `" + tool.name + " --help` shows the usage");
  }
  return code;
}

}  // namespace

int run_tool(const Tool& tool) {
  // Best effort: without it an overflow is a bare SIGSEGV.
  (void)install_stack_overflow_report();
  try {
    return static_cast<int>(parse_and_run(tool));
  } catch (const Failure& failure) {
    std::fflush(stdout);
    std::fprintf(stderr, "twinwire: %s\n", failure.what());
    return static_cast<int>(failure.code());
  }
}

}  // namespace twinwire::cli
