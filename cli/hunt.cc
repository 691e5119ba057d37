// SPDX-License-Identifier: Apache-2.0
// hunt: many seeds over all cores, what broke, and what the faults did. Start here; hunt_crew.h keeps the workers,
// hunt_worker.cc is what each of them does, hunt_findings.cc turns what they found into capsules.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>

#include "cli/build_id.h"
#include "cli/corpus.h"
#include "cli/hunt_account.h"
#include "cli/hunt_crew.h"
#include "cli/hunt_findings.h"
#include "cli/hunt_report.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/run_options.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/whole_file.h"
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
  std::string shard;    // empty: all seeds
  std::string results;  // empty: no file of them
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

constexpr std::uint64_t endless = UINT64_MAX / 2;

// Of the whole hunt, whatever shard of it this is.
SeedRange all_seeds(const HuntArguments& options) {
  return {options.first_seed, options.seeds != 0     ? options.seeds
                              : options.time.empty() ? default_seeds
                                                     : endless};
}

SeedRange own_seeds(const HuntArguments& options) {
  const SeedRange all = all_seeds(options);
  if (options.shard.empty()) return all;
  const Shard shard = parse_shard(options.shard);
  if (all.count == endless) bad_usage("--shard needs --seeds: without it there is nothing to part");
  if (shard.of > all.count)
    bad_usage("--shard " + options.shard + " has no seeds: there are only " +
              std::to_string(all.count));
  return part_of(all, shard);
}

HuntPlan make_plan(const HuntArguments& options, unsigned jobs) {
  const SeedRange seeds = own_seeds(options);
  HuntPlan plan;
  plan.spec = options.spec;
  plan.resample_every = options.account.resample_every;
  plan.first_seed = seeds.first;
  plan.count = seeds.count;
  plan.before = seeds.first - options.first_seed;
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
  const std::string shard = options.shard.empty() ? "" : ", shard " + options.shard;
  std::printf(
      "seeds      from %llu%s%s%s, %u jobs\n", static_cast<unsigned long long>(plan.first_seed),
      plan.count == endless ? "" : (", " + with_commas(plan.count) + " of them").c_str(),
      shard.c_str(),
      options.time.empty() ? "" : (", for " + format_duration(options.time_max())).c_str(), jobs);
  std::fflush(stdout);
}

// After so many seeds a knob that none of them read is taken for a mistake: better said now than at the end of a night.
constexpr std::uint64_t seeds_to_read_a_knob = 5000;

bool every_knob_was_read(const RunSpec& spec, std::uint64_t bits) {
  for (std::size_t i = 0; i < std::min<std::size_t>(64, spec.knobs.size()); ++i)
    if ((bits >> i & 1) == 0) return false;
  return true;
}

struct Outcome {
  Duration took;
  std::string ended;  // why seeds were left out, as a result has it
};

// Until every seed has run, the time is over, enough kinds of failures were found, or Ctrl-C.
Outcome watch(HuntCrew& crew, const HuntPlan& plan, const HuntArguments& options,
              const Interrupt& interrupt) {
  const TimePoint start = real_now();
  const Duration time_max = options.time_max();
  const std::uint64_t failures_max = options.failures_max();
  Progress progress("seeds", plan.count == endless ? 0 : plan.count, time_max);
  Outcome outcome;
  while (crew.working() && interrupt.count() < 2) {
    crew.attend(std::chrono::milliseconds(20));
    const auto failures = crew.failures();
    const bool over = time_max != Duration::zero() && real_now() - start >= time_max;
    // All seeds below the one that completes the number still run: the result does not depend on the workers' race.
    if (over || interrupt.count() > 0) {
      crew.stop_at(0);
      // A hunt whose time was over before has done what was asked of it.
      if (outcome.ended != "time") outcome.ended = interrupt.count() > 0 ? "interrupt" : "time";
    } else if (failures_max != 0 && failures.size() >= failures_max) {
      crew.stop_at(failures[failures_max - 1].offset);
      outcome.ended = "failures";
    }
    if (crew.done() >= seeds_to_read_a_knob &&
        !every_knob_was_read(options.spec, crew.knobs_read())) {
      crew.stop_at(0);
      if (outcome.ended.empty()) outcome.ended = "failures";  // if there are none, nothing is kept
    }
    progress.update(
        crew.done(),
        failures.empty() ? "" : ", " + std::to_string(failures.size()) + " kinds of failure");
  }
  crew.kill();
  progress.clear();
  outcome.took = real_now() - start;
  return outcome;
}

HuntResult result_of(const HuntCrew& crew, const Outcome& outcome, const HuntArguments& options) {
  HuntResult result;
  result.build = build_id();
  result.versions = build_versions();
  result.spec = options.spec;
  result.seeds = all_seeds(options);
  if (result.seeds.count == endless) result.seeds.count = 0;
  if (!options.shard.empty()) result.shard = parse_shard(options.shard);
  result.ran = crew.ran();
  if (result.done() < own_seeds(options).count) result.ended = outcome.ended;
  result.took = outcome.took;
  result.hash_sum = crew.hash_sum();
  put_faults(result, crew.faults());
  put_states(result, crew.states());
  put_knobs_read(result, crew.knobs_read());
  return result;
}

// Its findings are printed by now: that the file cannot be written must not cost them.
ExitCode save_result(const HuntResult& result, const HuntCrew& crew, const std::string& path) {
  try {
    // A worker that was killed between a run and its count: by the second Ctrl-C, or from outside.
    if (result.done() != crew.done())
      throw Failure(ExitCode::environment, "the results are not kept in " + path +
                                               ": a worker was killed while it counted them");
    write_whole_file(path, encode(result), "result of the hunt");
    std::printf("\nresults    %s\n", path.c_str());
    return ExitCode::pass;
  } catch (const Failure& failure) {
    std::fflush(stdout);
    std::fprintf(stderr, "twinwire: %s\n", failure.what());
    return failure.code();
  }
}

// The worst of what is known. Without a finding an interrupted hunt knows of nothing, and says so.
ExitCode code_of_all(ExitCode account, ExitCode found, bool interrupted) {
  if (!interrupted || found != ExitCode::pass) return graver(account, found);
  std::fflush(stdout);
  std::fprintf(stderr, "twinwire: interrupted; what was not run is not known to hold\n");
  return ExitCode::environment;
}

ExitCode hunt(const Tool& tool, HuntArguments& options) {
  settle(tool, options);
  (void)options.time_max();  // complains before anything is printed
  const unsigned jobs = options.jobs != 0 ? options.jobs : processors();
  const HuntPlan plan = make_plan(options, jobs);
  if (options.hashes && options.seeds == 0)
    bad_usage("--hashes needs --seeds: it prints a line for each");
  if (!options.results.empty()) require_writable(options.results, "result of the hunt");
  // To the end: what was found is printed and written whatever comes.
  const Interrupt interrupt;
  print_plan(plan, options, jobs);

  HuntCrew crew(tool, plan, jobs, options.hang_after_parsed(), options.hashes);
  const Outcome outcome = watch(crew, plan, options, interrupt);

  if (options.hashes)
    for (std::uint64_t i = 0; i < plan.count; ++i)
      if (crew.hashes()[i] != 0)
        std::printf("%llu %s\n", static_cast<unsigned long long>(plan.seed(i)),
                    hex16(crew.hashes()[i]).c_str());
  HuntResult result = result_of(crew, outcome, options);
  const bool interrupted = result.ended == "interrupt";
  print_result(result, interrupted ? "interrupted after " : "ran        ");
  const ExitCode account = report_account(tool, result, options.account);
  auto failures = crew.failures();
  // One shard, or what ran until Ctrl-C, may be too small to read a knob that others read: there the merge complains.
  const bool enough = options.shard.empty() || result.done() >= seeds_to_read_a_knob;
  const bool unread = enough && !interrupted && unread_knob(result) != nullptr;
  if (unread && failures.empty()) require_knobs_read(result);
  if (const std::uint64_t most = options.failures_max(); most != 0 && failures.size() > most)
    failures.resize(most);
  Findings findings = report_findings(tool, plan, failures, {options.capsules, options.corpus},
                                      options.hang_after_parsed(), interrupted, interrupt);
  const ExitCode code = code_of_all(account, findings.code, interrupted);
  if (unread) {
    std::fflush(stdout);
    std::fprintf(stderr, "twinwire: %s\n", about_unread_knob(result).c_str());
  }
  if (options.results.empty()) return code;
  result.failures = std::move(findings.failures);
  return graver(code, save_result(result, crew, options.results));
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
  verb->add_option("--shard", options->shard,
                   "only the I-th of N equal parts of the seeds, counted from 1; see `merge`")
      ->type_name("I/N");
  verb->add_option("--results", options->results, "keep what was found, for `merge`")
      ->each([](const std::string& path) { require_name(path, "--results"); })
      ->type_name("FILE");
  verb->add_option("--jobs", options->jobs, "worker processes; one for each processor unless given")
      ->check(CLI::Range(1, 4096));
  verb->add_option("--failures", options->failures,
                   "stop at so many kinds of failure, 0: go on to the end (the default; with "
                   "--plant it is 1)")
      ->check(whole_number(0, 1'000'000));
  verb->add_flag_callback(
      "--keep-going", [options] { options->failures = 0; }, "the same as --failures 0");
  verb->add_option("--capsules", options->capsules, "where failures are kept")
      ->each([](const std::string& path) { require_name(path, "--capsules"); })
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
