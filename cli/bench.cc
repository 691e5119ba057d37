// SPDX-License-Identifier: Apache-2.0
// bench: how fast the World is, on one core. The transports beside their peers: bench_transports.cc
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include "cli/bench_figures.h"
#include "cli/child.h"
#include "cli/report.h"
#include "cli/run_options.h"
#include "cli/text.h"
#include "cli/verbs.h"

namespace twinwire::cli {
namespace {

struct BenchArguments : RunOptions {
  unsigned rounds = 7;
  std::string time = "1s";  // of one round
};

struct Round {
  std::uint64_t seeds = 0;
  std::uint64_t steps = 0;
  double seconds = 0;            // on the wall
  double processor_seconds = 0;  // that this process had of them

  double seeds_per_second() const { return static_cast<double>(seeds) / seconds; }
  double seeds_per_processor_second() const {
    return static_cast<double>(seeds) / processor_seconds;
  }
  double steps_per_processor_second() const {
    return static_cast<double>(steps) / processor_seconds;
  }
};

// Fresh worlds over fresh seeds until the time is up. A seed that fails ends the benchmark: it would measure nothing.
Round run_round(const Tool& tool, const RunSpec& spec, std::uint64_t& seed, Duration time,
                StackPool& stacks) {
  laws::WorldRun run = spec.world_run(tool, seed);
  Round round;
  const TimePoint start = real_now();
  const TimePoint processor_start = processor_now();
  Duration took{};
  while (took < time) {
    for (int i = 0; i < 16; ++i, ++seed, ++round.seeds) {
      run.options.seed = seed;
      run.options.faults = spec.plan(seed);
      const laws::Verdict verdict = laws::run_in_world(run, stacks);
      round.steps += verdict.report.steps;
      if (verdict.kind != laws::VerdictKind::pass)
        throw Failure(exit_code(verdict.kind), "seed " + std::to_string(seed) + " gave " +
                                                   verdict.failure_key() + "; " +
                                                   spec.replay_line(tool, seed));
    }
    took = real_now() - start;
  }
  round.seconds = static_cast<double>(took.count()) / 1e9;
  round.processor_seconds = static_cast<double>((processor_now() - processor_start).count()) / 1e9;
  return round;
}

ExitCode bench_sim(const Tool& tool, BenchArguments& options) {
  // Here the run without faults is what is asked for, unless something else is.
  options.no_faults = options.no_faults || (!options.swarm && options.spec.faults.empty());
  settle(tool, options);
  const auto time = parse_duration(options.time);
  if (!time || *time == Duration::zero())
    bad_usage("'" + options.time + "' is no duration; write 1s or 500ms");
  stay_on_one_core();
  StackPool stacks;
  const laws::Verdict first = laws::run_in_world(options.spec.world_run(tool, 1), stacks);
  std::printf("%s over %s in the World, fresh World each, one core\nknobs      %s\nfaults     %s\n",
              options.spec.scenario.c_str(), options.spec.transport.c_str(),
              to_text(first.knobs_read).c_str(),
              options.no_faults ? "none" : "as given or drawn from each seed");
  std::uint64_t seed = 1;
  (void)run_round(tool, options.spec, seed,
                  std::min<Duration>(*time, std::chrono::milliseconds(200)), stacks);
  std::vector<double> wall;
  std::vector<double> seeds;
  std::vector<double> steps;
  for (unsigned i = 0; i < options.rounds; ++i) {
    const Round round = run_round(tool, options.spec, seed, *time, stacks);
    wall.push_back(round.seeds_per_second());
    seeds.push_back(round.seeds_per_processor_second());
    steps.push_back(round.steps_per_processor_second());
    std::printf("round %-4u %s seeds per second of processor time, %s on the wall\n", i + 1,
                whole(seeds.back()).c_str(), whole(wall.back()).c_str());
    std::fflush(stdout);
  }
  std::printf(
      "median     %s seeds and %s steps per second of processor time; %s seeds on the wall\n",
      whole(median(seeds)).c_str(), whole(median(steps)).c_str(), whole(median(wall)).c_str());
  return ExitCode::pass;
}

}  // namespace

void add_bench(CLI::App& app, const Tool& tool, ExitCode& code) {
  auto* verb = app.add_subcommand("bench", "how fast it is");
  verb->require_subcommand(1);
  auto* sim = verb->add_subcommand(
      "sim", "seeds per second on one core; ping_pong without faults unless told otherwise");
  auto options = std::make_shared<BenchArguments>();
  options->spec.scenario = "ping_pong";
  add_run_options(*sim, *options);
  sim->add_option("--rounds", options->rounds, "of which the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  sim->add_option("--time", options->time, "of one round")->capture_default_str();
  add_bench_transports(*verb, code);
  sim->callback([&tool, &code, options] { code = bench_sim(tool, *options); });
}

}  // namespace twinwire::cli
