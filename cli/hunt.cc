// SPDX-License-Identifier: Apache-2.0
// hunt: many seeds over all cores, what broke, and what the faults did. Start here; hunt_crew.h keeps the workers,
// hunt_worker.cc is what each of them does, hunt_findings.cc turns what they found into capsules.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>

#include "cli/corpus.h"
#include "cli/hunt_account.h"
#include "cli/hunt_crew.h"
#include "cli/hunt_findings.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/run_options.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/whole_number.h"

namespace twinwire::cli {
namespace {

constexpr std::uint64_t default_seeds = 100'000;

struct HuntArguments : RunOptions {
  std::uint64_t seeds = 0;  // 0: not given
  std::string time;
  std::uint64_t first_seed = 1;
  unsigned jobs = 0;  // 0: one for each processor
  int failures = -1;  // -1: not given
  std::string capsules = "capsules";
  std::string corpus;
  bool hashes = false;
  AccountOptions account;

  Duration time_max() const {
    if (time.empty()) return Duration::zero();
    const auto duration = parse_duration(time);
    if (!duration || *duration == Duration::zero())
      bad_usage("'" + time + "' is no duration; write 30s, 5m or 2h");
    return *duration;
  }
  // How many failure keys end the hunt; 0: none does.
  std::uint64_t failures_max() const {
    if (failures >= 0) return static_cast<std::uint64_t>(failures);
    return spec.plant.empty() ? 0 : 1;
  }
};

HuntPlan make_plan(const HuntArguments& options, unsigned jobs) {
  HuntPlan plan;
  plan.spec = options.spec;
  plan.first_seed = options.first_seed;
  plan.resample_every = options.account.resample_every;
  plan.count = options.seeds != 0     ? options.seeds
               : options.time.empty() ? default_seeds
                                      : UINT64_MAX / 2;
  plan.chunk = std::clamp<std::uint64_t>(plan.count / (std::uint64_t{jobs} * 16), 1, 64);
  return plan;
}

void print_plan(const HuntPlan& plan, const HuntArguments& options, unsigned jobs) {
  const RunSpec& spec = plan.spec;
  std::string faults =
      spec.base == RunSpec::Base::swarm ? "a swarm drawn from each seed" : spec.plan(0).to_text();
  if (spec.base == RunSpec::Base::swarm)
    for (const std::string& fault : spec.faults) faults += ", " + fault;
  std::printf("scenario   %s\ntransport  %s\nfaults     %s\n", spec.scenario.c_str(),
              spec.transport.c_str(), faults.c_str());
  if (!spec.knobs.empty()) std::printf("knobs      %s\n", to_text(spec.knobs).c_str());
  if (!spec.plant.empty()) std::printf("plant      %s\n", spec.plant.c_str());
  const bool endless = plan.count == UINT64_MAX / 2;
  std::printf(
      "seeds      from %llu%s%s, %u jobs\n", static_cast<unsigned long long>(plan.first_seed),
      endless ? "" : (", " + with_commas(plan.count) + " of them").c_str(),
      options.time.empty() ? "" : (", for " + format_duration(options.time_max())).c_str(), jobs);
  std::fflush(stdout);
}

struct Outcome {
  Duration took;
  bool interrupted = false;
};

// Until every seed has run, the time is over, enough kinds of failures were found, or Ctrl-C.
Outcome watch(HuntCrew& crew, const HuntPlan& plan, const HuntArguments& options) {
  const Interrupt interrupt;
  const TimePoint start = real_now();
  const Duration time_max = options.time_max();
  const std::uint64_t failures_max = options.failures_max();
  Progress progress("seeds", plan.count == UINT64_MAX / 2 ? 0 : plan.count, time_max);
  while (crew.working() && interrupt.count() < 2) {
    crew.attend(std::chrono::milliseconds(20));
    const auto failures = crew.failures();
    const bool over = time_max != Duration::zero() && real_now() - start >= time_max;
    // All seeds below the one that completes the number still run: the result does not depend on the workers' race.
    if (over || interrupt.count() > 0)
      crew.stop_at(0);
    else if (failures_max != 0 && failures.size() >= failures_max)
      crew.stop_at(failures[failures_max - 1].offset);
    progress.update(
        crew.done(),
        failures.empty() ? "" : ", " + std::to_string(failures.size()) + " kinds of failure");
  }
  crew.kill();
  progress.clear();
  return {real_now() - start, interrupt.count() > 0};
}

void require_knobs(const HuntCrew& crew, const RunSpec& spec) {
  for (std::size_t i = 0; i < std::min<std::size_t>(64, spec.knobs.size()); ++i)
    if (crew.done() != 0 && (crew.knobs_read() >> i & 1) == 0)
      bad_usage("no run of " + spec.scenario + " read the knob '" + spec.knobs[i].name +
                "'; `twinwire list` shows those that it reads");
}

ExitCode hunt(const Tool& tool, HuntArguments& options) {
  settle(tool, options);
  (void)options.time_max();  // complains before anything is printed
  const unsigned jobs = options.jobs != 0 ? options.jobs : processors();
  const HuntPlan plan = make_plan(options, jobs);
  if (options.hashes && options.seeds == 0)
    bad_usage("--hashes needs --seeds: it prints a line for each");
  print_plan(plan, options, jobs);

  HuntCrew crew(tool, plan, jobs, options.hang_after_parsed(), options.hashes);
  const Outcome outcome = watch(crew, plan, options);

  if (options.hashes)
    for (std::uint64_t i = 0; i < plan.count; ++i)
      if (crew.hashes()[i] != 0)
        std::printf("%llu %s\n", static_cast<unsigned long long>(plan.seed(i)),
                    hex16(crew.hashes()[i]).c_str());
  const double seconds = std::max(1e-9, static_cast<double>(outcome.took.count()) / 1e9);
  const std::uint64_t done = crew.done();
  std::printf("%s%s seeds in %s, %s per second; all hashes together %s\n",
              outcome.interrupted ? "interrupted after " : "ran        ", with_commas(done).c_str(),
              format_duration(outcome.took).c_str(),
              with_commas(static_cast<std::uint64_t>(static_cast<double>(done) / seconds)).c_str(),
              hex16(crew.hash_sum()).c_str());
  const ExitCode account = report_account(crew, plan, options.account);
  require_knobs(crew, plan.spec);
  auto failures = crew.failures();
  if (const std::uint64_t most = options.failures_max(); most != 0 && failures.size() > most)
    failures.resize(most);
  return graver(account, report_findings(tool, plan, failures, {options.capsules, options.corpus},
                                         options.hang_after_parsed()));
}

}  // namespace

void add_hunt(CLI::App& app, const Tool& tool, ExitCode& code) {
  auto* verb = app.add_subcommand("hunt", "many seeds over all cores; a failure becomes a capsule");
  auto options = std::make_shared<HuntArguments>();
  add_run_options(*verb, *options);
  verb->add_option("--seeds", options->seeds, "how many; 100,000 unless --time is given")
      ->check(whole_number(1, std::uint64_t{1} << 60));
  verb->add_option("--time", options->time, "for how long: 30s, 5m, 2h");
  verb->add_option("--first-seed", options->first_seed, "where to start")
      ->check(whole_number(0, UINT64_MAX - (std::uint64_t{1} << 61)))
      ->capture_default_str();
  verb->add_option("--jobs", options->jobs, "worker processes; one for each processor unless given")
      ->check(CLI::Range(1, 4096));
  verb->add_option("--failures", options->failures,
                   "stop at so many kinds of failure, 0: go on to the end (the default; with "
                   "--plant it is 1)")
      ->check(whole_number(0, 1'000'000));
  verb->add_flag_callback(
      "--keep-going", [options] { options->failures = 0; }, "the same as --failures 0");
  verb->add_option("--capsules", options->capsules, "where failures are kept")
      ->capture_default_str();
  verb->add_option("--corpus", options->corpus,
                   "keep each failure minimised as well, as the tests' corpus does; without a "
                   "folder behind it: props/corpus")
      ->expected(0, 1)
      ->default_str(default_corpus)
      ->type_name("FOLDER");
  verb->add_flag("--hashes", options->hashes, "print each seed and the hash of its run");
  add_account_options(*verb, options->account);
  verb->callback([&tool, &code, options] { code = hunt(tool, *options); });
}

}  // namespace twinwire::cli
