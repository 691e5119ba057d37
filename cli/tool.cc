// SPDX-License-Identifier: Apache-2.0
#include "cli/tool.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>

#include "cli/child.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "transport/fiber/overflow.h"

namespace twinwire::cli {
namespace {

// What the library says, in words that name what was typed.
std::string what_is_wrong(const Tool& tool, const CLI::App& app, const CLI::ParseError& error) {
  std::vector<std::string_view> verbs;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; }))
    verbs.push_back(verb->get_name());
  const std::string_view first = tool.argc > 1 ? tool.argv[1] : "";
  if (first.empty()) return "say what to do: " + quoted_list(verbs);
  if (!first.starts_with('-') && std::find(verbs.begin(), verbs.end(), first) == verbs.end())
    return "there is no verb '" + std::string(first) + "'" + suggestion(first, verbs) +
           " (there are: " + quoted_list(verbs) + ")";
  for (const CLI::App* verb : app.get_subcommands())
    for (const CLI::Option* option : verb->get_options())
      if (option->get_required() && option->count() == 0)
        return verb->get_name() + " needs one more argument: " + option->get_description();
  return error.what();
}

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
  add_merge(app, tool, code);
  add_replay(app, tool, code);
  add_trace(app, tool, code);
  add_diff(app, tool, code);
  add_minimise(app, tool, code);
  add_story(app, tool, code);
  add_exhaust(app, tool, code);
  add_plants(app, tool, code);
  add_bench(app, tool, code);
  add_serve(app, tool, code);
  add_load(app, tool, code);
  add_probe(app, tool, code);
  for (CLI::App* verb : app.get_subcommands({})) verb->footer(exit_code_help);
  try {
    app.parse(tool.argc, tool.argv);
  } catch (const CLI::Success& asked_for_help) {
    app.exit(asked_for_help);
    finish_output();
    return ExitCode::pass;
  } catch (const CLI::ParseError& error) {
    bad_usage(what_is_wrong(tool, app, error) + "; `" + tool.name + " --help` shows the usage");
  }
  finish_output();
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
  } catch (const std::bad_alloc&) {
    std::fflush(stdout);
    std::fputs("twinwire: this machine has not enough memory for that\n", stderr);
    return static_cast<int>(ExitCode::environment);
  } catch (const std::exception& what) {  // of a file system that is out of order, say
    std::fflush(stdout);
    std::fprintf(stderr, "twinwire: %s\n", what.what());
    return static_cast<int>(ExitCode::environment);
  }
}

}  // namespace twinwire::cli
