// SPDX-License-Identifier: Apache-2.0
// run: one seed, one verdict, in the World; or the same scenario on real sockets.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>

#include "cli/child.h"
#include "cli/report.h"
#include "cli/reproduce.h"
#include "cli/ring.h"
#include "cli/run_options.h"
#include "cli/shared.h"
#include "cli/step_log.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/watched_run.h"
#include "cli/whole_number.h"
#include "props/laws/run_on_ring.h"

namespace twinwire::cli {
namespace {

struct RunArguments : RunOptions {
  std::uint64_t seed = 1;
  std::string world = "sim";
  bool trace = false;
  std::string capsules = "capsules";
};

// For a laws::Verdict or a laws::RingVerdict.
void require_knobs(const auto& verdict, const std::string& scenario,
                   const std::vector<laws::Knob>& set) {
  for (const laws::Knob& wanted : set)
    for (const laws::Knob& used : verdict.knobs_read)
      if (used.name == wanted.name && used.value != wanted.value)
        bad_usage("the knob '" + wanted.name + "' of " + scenario + " cannot be " +
                  std::to_string(wanted.value) + "; the nearest is " + std::to_string(used.value));
  if (verdict.knobs_unread.empty() || verdict.kind != laws::VerdictKind::pass) return;
  const std::string read = to_text(verdict.knobs_read);
  bad_usage("this run of " + scenario + " did not read the knob '" + verdict.knobs_unread.front() +
            "'; it read " + (read.empty() ? "none" : read));
}

int run_in_sim(const Tool& tool, const RunArguments& options, Pulse& pulse) {
  laws::WorldRun run = options.spec.world_run(tool, options.seed);
  print_echo(run, options.spec.transport, options.spec.plant);
  StepPrinter printer(stdout);
  if (options.trace) run.options.trace = &printer;
  run.options.record = true;
  const laws::Verdict verdict = run_watched(run, pulse);
  print_verdict(verdict);
  require_knobs(verdict, options.spec.scenario, options.spec.knobs);
  if (verdict.kind != laws::VerdictKind::pass) {
    const std::string path =
        keep(make_capsule(options.spec, options.seed, verdict), options.capsules);
    std::printf("reproduce it with\n%s",
                reproduce_lines(tool, options.spec, options.seed, path).c_str());
  }
  return static_cast<int>(exit_code(verdict.kind));
}

int report_death(const Tool& tool, const RunArguments& options, const Death& death) {
  std::printf("verdict    %s\n  %s\n", death.failure_key().c_str(), death.sentence().c_str());
  const std::string path =
      keep(make_capsule(options.spec, options.seed, death.failure_key(), death.sentence()),
           options.capsules);
  std::printf("reproduce it with\n%s",
              reproduce_lines(tool, options.spec, options.seed, path).c_str());
  return static_cast<int>(death.kind == Death::Kind::hung ? ExitCode::no_progress
                                                          : ExitCode::crash);
}

int run_in_ring(const Tool& tool, const RunArguments& options, Pulse& pulse) {
  const Running running(pulse);
  const laws::WorldRun run = options.spec.world_run(tool, options.seed);
  std::printf("seed       %llu\nscenario   %s\ntransport  %s over io_uring, on the loopback\n",
              static_cast<unsigned long long>(options.seed), options.spec.scenario.c_str(),
              options.spec.transport.c_str());
  const auto ring = open_ring();
  std::fflush(stdout);
  const TimePoint start = real_now();
  const laws::RingVerdict verdict =
      laws::run_on_ring(*run.scenario, run.transport, options.seed, options.spec.knobs, *ring);
  const Duration took = real_now() - start;
  if (!verdict.knobs_read.empty())
    std::printf("used       %s\n", to_text(verdict.knobs_read).c_str());
  const char* kind = verdict.kind == laws::VerdictKind::pass         ? "pass"
                     : verdict.kind == laws::VerdictKind::law_broken ? "law_broken:"
                                                                     : "no_progress:";
  std::printf("verdict    %s%s\n%s", kind, verdict.law.c_str(), indented(verdict.detail).c_str());
  const real::Counters& counters = ring->counters();
  std::printf(
      "took       %s\nkernel     %s connections, %s bytes, %s short writes, %s resets sent, %s "
      "met\n",
      format_duration(took).c_str(), with_commas(counters.connections_accepted).c_str(),
      with_commas(counters.bytes_sent).c_str(), with_commas(counters.short_writes).c_str(),
      with_commas(counters.resets_sent).c_str(), with_commas(counters.resets_met).c_str());
  require_knobs(verdict, options.spec.scenario, options.spec.knobs);
  return static_cast<int>(exit_code(verdict.kind));
}

ExitCode run(const Tool& tool, RunArguments& options) {
  settle(tool, options);
  const bool ring = options.world == "ring";
  if (ring && options.trace)
    bad_usage("--trace is the World's: real sockets have no steps to show");
  if (ring && !options.spec.faults.empty())
    bad_usage("--fault is the World's: over real sockets only the kernel makes trouble");
  Shared<Pulse> pulse;
  Child::Options watch{
      .pulse = &*pulse, .hang_after = options.hang_after_parsed(), .foreground = true};
  // The kernel's clock is not ours: a ring that waits is no hang, until a minute has passed.
  if (ring) watch.hang_after = std::max<Duration>(watch.hang_after, std::chrono::minutes(1));
  const auto body = [&] {
    return ring ? run_in_ring(tool, options, *pulse) : run_in_sim(tool, options, *pulse);
  };
  const auto on_death = [&](const Death& death) { return report_death(tool, options, death); };
  return static_cast<ExitCode>(run_supervised(watch, options.in_process, body, on_death));
}

}  // namespace

void add_run(CLI::App& app, const Tool& tool, ExitCode& code) {
  auto* verb = app.add_subcommand("run", "one seed of a scenario");
  auto options = std::make_shared<RunArguments>();
  add_run_options(*verb, *options);
  verb->add_option("--seed", options->seed, "decides everything")
      ->check(whole_number(0))
      ->capture_default_str();
  verb->add_option("--world", options->world,
                   "sim: the simulated network; ring: real sockets, through io_uring")
      ->check(CLI::IsMember({"sim", "ring"}))
      ->capture_default_str();
  verb->add_flag("--trace", options->trace, "print each step");
  verb->add_option("--capsules", options->capsules, "where a failure is kept")
      ->capture_default_str();
  verb->callback([&tool, &code, options] { code = run(tool, *options); });
}

}  // namespace twinwire::cli
