// SPDX-License-Identifier: Apache-2.0
// minimise: the smallest run that fails as a capsule does, kept as another capsule and told as a story.
// minimise_capsule.h is the whole of it without the command line, minimiser.h the search.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "cli/child.h"
#include "cli/interrupt.h"
#include "cli/minimise_capsule.h"
#include "cli/text.h"
#include "cli/traced_run.h"
#include "cli/verbs.h"
#include "cli/whole_file.h"

namespace twinwire::cli {
namespace {

struct MinimiseArguments : RunOptions {
  std::string what;
  std::string time = "30s";
  std::string output;

  Duration time_max() const {
    const auto duration = parse_duration(time);
    if (!duration || *duration == Duration::zero())
      bad_usage("'" + time + "' is no duration; write 30s, 5m or 2h");
    return *duration;
  }
};

// Beside the capsule, under its name; for a seed under the name that a hunt would give it.
std::string output_path(const MinimiseArguments& options, const Subject& subject,
                        const Capsule& capsule) {
  if (!options.output.empty()) return options.output;
  const std::filesystem::path from =
      subject.capsule ? subject.text : capsule_path(capsule, "capsules");
  if (from.stem().extension() == ".min") return from.string();
  return (from.parent_path() / (from.stem().string() + ".min.capsule")).string();
}

void require_another_file(const Subject& subject, const std::string& path) {
  std::error_code none;
  if (subject.capsule && std::filesystem::equivalent(subject.text, path, none))
    bad_usage("the result would overwrite the capsule " + subject.text +
              "; give it another name with -o");
}

ExitCode minimise(const Tool& tool, MinimiseArguments& options) {
  const Duration time_max = options.time_max();
  const Subject subject = make_subject(tool, options, options.what, false);
  if (subject.capsule)
    require_another_file(subject, output_path(options, subject, *subject.capsule));
  if (!options.output.empty())
    require_writable(options.output, "capsule");
  else if (subject.capsule)
    require_writable(output_path(options, subject, *subject.capsule), "capsule");
  const Interrupt interrupt;
  const MinimiseLimits limits{.time_max = time_max,
                              .hang_after = options.hang_after_parsed(),
                              .interrupted = [&] { return interrupt.count() > 0; }};
  std::string last;
  const auto told = [&](Duration after, const RunSize& before, const RunSize& now) {
    const std::string change = size_change(before, now);
    if (change == last) return;
    last = change;
    std::printf("%7.1f s  %s\n", static_cast<double>(after.count()) / 1e9, change.c_str());
    std::fflush(stdout);
  };
  const Minimised result = minimise_subject(tool, subject, limits, told);
  const std::string path = output_path(options, subject, result.capsule);
  if (options.output.empty()) make_folder_of(path, "capsule");
  write_capsule(result.capsule, path);
  std::printf("minimised  %s\n", size_change(result.before, result.after).c_str());
  std::printf("           in %s and %s runs%s\n", format_duration(result.took).c_str(),
              with_commas(result.runs).c_str(),
              result.finished         ? ""
              : interrupt.count() > 0 ? "; interrupted, the best so far is kept"
                                      : "; the time was over, the best so far is kept");
  std::printf("kept as    %s\n\n", path.c_str());
  const TracedRun traced = run_traced_in_child(result.run, options.hang_after_parsed());
  std::printf("%s\n  %s replay %s\n",
              story_of(tool, traced, subject.transport, subject.plant).c_str(),
              shell_word(tool.name).c_str(), shell_word(path).c_str());
  return ExitCode::pass;
}

}  // namespace

void add_minimise(CLI::App& app, const Tool& tool, ExitCode& code) {
  auto* verb = app.add_subcommand(
      "minimise", "the smallest run that fails as a capsule does, as a capsule and as a story");
  auto options = std::make_shared<MinimiseArguments>();
  verb->add_option("what", options->what, "the path of a capsule, or a seed")->required();
  verb->add_option("--time", options->time, "how long to go on at most: 30s, 5m")
      ->capture_default_str();
  verb->add_option("-o,--output", options->output,
                   "where the result goes; beside the capsule as NAME.min.capsule unless given")
      ->each([](const std::string& path) { require_name(path, "--output"); });
  add_run_options(*verb, *options);
  verb->callback([&tool, &code, options] { code = minimise(tool, *options); });
}

}  // namespace twinwire::cli
