// SPDX-License-Identifier: Apache-2.0
// trace: the steps of a run, for reading. diff: where two runs part.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/child.h"
#include "cli/report.h"
#include "cli/shared.h"
#include "cli/step_log.h"
#include "cli/subject.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/watched_run.h"

namespace twinwire::cli {
namespace {

struct TraceArguments : RunOptions {
  std::string a;
  std::string b;
  bool as_decisions = false;
};

laws::Verdict run_traced(const Subject& subject, sim::TraceSink& sink, Pulse& pulse) {
  laws::WorldRun run = subject.run;
  run.options.trace = &sink;
  return run_watched(run, pulse);
}

int supervise(const TraceArguments& options, const std::function<int(Pulse&)>& body) {
  Shared<Pulse> pulse;
  const Child::Options watch{
      .pulse = &*pulse, .hang_after = options.hang_after_parsed(), .foreground = true};
  return run_supervised(
      watch, options.in_process, [&] { return body(*pulse); },
      [](const Death& death) {
        std::printf("%s: %s\n", death.failure_key().c_str(), death.sentence().c_str());
        return static_cast<int>(death.kind == Death::Kind::hung ? ExitCode::no_progress
                                                                : ExitCode::crash);
      });
}

ExitCode trace(const Tool& tool, TraceArguments& options) {
  const Subject subject = make_subject(tool, options, options.a, options.as_decisions);
  return static_cast<ExitCode>(supervise(options, [&](Pulse& pulse) {
    StepPrinter printer(stdout);
    const laws::Verdict verdict = run_traced(subject, printer, pulse);
    std::printf("%s\n%s", verdict.failure_key().c_str(), indented(verdict.detail).c_str());
    return static_cast<int>(exit_code(verdict.kind));
  }));
}

ExitCode diff(const Tool& tool, TraceArguments& options) {
  const Subject a = make_subject(tool, options, options.a, false);
  const Subject b = make_subject(tool, options, options.b, false);
  if (a.plant != b.plant)
    bad_usage("the two runs need different planted bugs, and one process has one at a time");
  return static_cast<ExitCode>(supervise(options, [&](Pulse& pulse) {
    StepLog log_a;
    StepLog log_b;
    const laws::Verdict verdict_a = run_traced(a, log_a, pulse);
    const laws::Verdict verdict_b = run_traced(b, log_b, pulse);
    for (const auto& [name, subject, verdict] :
         {std::tuple("A", &a, &verdict_a), std::tuple("B", &b, &verdict_b)})
      std::printf("%s  %s: %s, %s steps, hash %s\n", name, subject->text.c_str(),
                  verdict->failure_key().c_str(), with_commas(verdict->report.steps).c_str(),
                  hex16(verdict->report.hash).c_str());
    const auto at = first_difference(log_a, log_b, Compare::what_is_seen);
    if (at) {
      std::printf("they part here:\n%s", format_difference(log_a, log_b, *at, "A", "B").c_str());
    } else {
      std::printf("no step differs\n");
    }
    return 0;
  }));
}

}  // namespace

void add_trace(CLI::App& app, const Tool& tool, ExitCode& code) {
  auto* verb = app.add_subcommand(
      "trace", "every step of a seed or a capsule: number, virtual time, who, what");
  auto options = std::make_shared<TraceArguments>();
  verb->add_option("what", options->a, "a seed, or the path of a capsule")->required();
  add_run_options(*verb, *options);
  verb->add_flag("--as-decisions", options->as_decisions,
                 "make the capsule's run from its decisions alone, with everything else benign");
  verb->callback([&tool, &code, options] { code = trace(tool, *options); });
}

void add_diff(CLI::App& app, const Tool& tool, ExitCode& code) {
  auto* verb = app.add_subcommand("diff", "the first step where two seeds or capsules differ");
  auto options = std::make_shared<TraceArguments>();
  verb->add_option("a", options->a, "a seed, or the path of a capsule")->required();
  verb->add_option("b", options->b, "another")->required();
  add_run_options(*verb, *options);
  verb->callback([&tool, &code, options] { code = diff(tool, *options); });
}

}  // namespace twinwire::cli
