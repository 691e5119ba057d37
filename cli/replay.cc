// SPDX-License-Identifier: Apache-2.0
// replay: a seed or a capsule once more; with --verify twice, step by step.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/build_id.h"
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

struct ReplayArguments : RunOptions {
  std::string what;
  bool trace = false;
  bool verify = false;
  bool as_decisions = false;
};

constexpr unsigned stale_below = 90;  // percent of a capsule's decisions that must still occur

laws::Verdict run_once(const Subject& subject, sim::TraceSink* trace, Pulse& pulse) {
  laws::WorldRun run = subject.run;
  run.options.record = true;
  run.options.trace = trace;
  return run_watched(run, pulse);
}

void print_capsule(const Capsule& capsule) {
  std::printf("capsule    %s, %s decisions%s\n", capsule.key.c_str(),
              with_commas(capsule.decisions.size()).c_str(),
              capsule.of_decisions ? "; nothing else is left to chance" : "");
  if (capsule.build == build_id()) return;
  std::string made_by;
  for (const auto& [what, version] : capsule.versions)
    made_by.append(", ").append(what).append(" ").append(version);
  std::fflush(stdout);
  std::fprintf(stderr,
               "twinwire: warning: another build made this capsule (%s%s); the run may differ, and "
               "its hash is "
               "not compared\n",
               hex16(capsule.build).c_str(), made_by.c_str());
}

// What the run says about the capsule, beyond its own verdict.
ExitCode compare(const Capsule& capsule, const laws::Verdict& verdict, bool as_decisions) {
  if (capsule.build == build_id() && capsule.hash && *capsule.hash != verdict.report.hash) {
    std::printf("the hash was %s: two runs of one seed differ\n", hex16(*capsule.hash).c_str());
    return ExitCode::nondeterminism;
  }
  const unsigned percent = percent_still_occurring(capsule, verdict, as_decisions);
  if (percent < stale_below)
    std::printf("the capsule is stale: only %u %% of its decisions still occur\n", percent);
  if (capsule.key != verdict.failure_key())
    std::printf("the capsule's failure, %s, did not happen\n", capsule.key.c_str());
  return exit_code(verdict.kind);
}

int verify(const Subject& subject, Pulse& pulse) {
  StepLog first;
  StepLog second;
  const laws::Verdict one = run_once(subject, &first, pulse);
  const laws::Verdict two = run_once(subject, &second, pulse);
  const auto at = first_difference(first, second, Compare::everything);
  if (!at && one.report.hash == two.report.hash && one.failure_key() == two.failure_key()) {
    std::printf("verified   two runs, %s steps, equal in each; verdict %s, hash %s\n",
                with_commas(one.report.steps).c_str(), one.failure_key().c_str(),
                hex16(one.report.hash).c_str());
    return static_cast<int>(exit_code(one.kind));
  }
  std::printf("two runs of one seed differ: verdicts %s and %s, hashes %s and %s\n",
              one.failure_key().c_str(), two.failure_key().c_str(), hex16(one.report.hash).c_str(),
              hex16(two.report.hash).c_str());
  if (at)
    std::printf("the first step where they differ:\n%s",
                format_difference(first, second, *at, "first ", "second").c_str());
  return static_cast<int>(ExitCode::nondeterminism);
}

int replay_once(const ReplayArguments& options, const Subject& subject, Pulse& pulse) {
  print_echo(subject.run, subject.transport, subject.plant);
  if (subject.capsule) print_capsule(*subject.capsule);
  if (options.verify) return verify(subject, pulse);
  StepPrinter printer(stdout);
  const laws::Verdict verdict = run_once(subject, options.trace ? &printer : nullptr, pulse);
  print_verdict(verdict);
  if (!subject.capsule) return static_cast<int>(exit_code(verdict.kind));
  return static_cast<int>(compare(*subject.capsule, verdict, options.as_decisions));
}

ExitCode replay(const Tool& tool, ReplayArguments& options) {
  const Subject subject = make_subject(tool, options, options.what, options.as_decisions);
  Shared<Pulse> pulse;
  const Child::Options watch{
      .pulse = &*pulse, .hang_after = options.hang_after_parsed(), .foreground = true};
  return static_cast<ExitCode>(run_supervised(
      watch, options.in_process, [&] { return replay_once(options, subject, *pulse); },
      [&](const Death& death) {
        std::printf("verdict    %s\n  %s\n", death.failure_key().c_str(), death.sentence().c_str());
        return static_cast<int>(death.kind == Death::Kind::hung ? ExitCode::no_progress
                                                                : ExitCode::crash);
      }));
}

}  // namespace

void add_replay(CLI::App& app, const Tool& tool, ExitCode& code) {
  auto* verb = app.add_subcommand("replay", "a seed or a capsule once more");
  auto options = std::make_shared<ReplayArguments>();
  verb->add_option("what", options->what, "a seed, or the path of a capsule")->required();
  add_run_options(*verb, *options);
  verb->add_flag("--trace", options->trace, "print each step");
  auto* verify = verb->add_flag("--verify", options->verify,
                                "run twice, and show the first step where the two differ");
  verify->excludes(verb->get_option("--trace"));
  verb->add_flag("--as-decisions", options->as_decisions,
                 "make the capsule's run from its decisions alone, with everything else benign");
  verb->callback([&tool, &code, options] { code = replay(tool, *options); });
}

}  // namespace twinwire::cli
