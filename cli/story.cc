// SPDX-License-Identifier: Apache-2.0
// story: what happened in a run, for a reader who does not know the code.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/report.h"
#include "cli/subject.h"
#include "cli/traced_run.h"
#include "cli/verbs.h"

namespace twinwire::cli {
namespace {

struct StoryArguments : RunOptions {
  std::string what;
};

ExitCode story(const Tool& tool, StoryArguments& options) {
  const Subject subject = make_subject(tool, options, options.what, false);
  const TracedRun traced = run_traced_in_child(subject.run, options.hang_after_parsed());
  std::printf("%s", story_of(tool, traced, subject.transport, subject.plant).c_str());
  if (subject.capsule && subject.capsule->key != traced.key)
    std::printf("the capsule's failure, %s, did not happen\n", subject.capsule->key.c_str());
  return code_of(traced.key);
}

}  // namespace

void add_story(CLI::App& app, const Tool& tool, ExitCode& code) {
  auto* verb =
      app.add_subcommand("story", "what happened in a seed or a capsule, in numbered sentences");
  auto options = std::make_shared<StoryArguments>();
  verb->add_option("what", options->what, "a seed, or the path of a capsule")->required();
  add_run_options(*verb, *options);
  verb->callback([&tool, &code, options] { code = story(tool, *options); });
}

}  // namespace twinwire::cli
