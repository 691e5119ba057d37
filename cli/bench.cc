// SPDX-License-Identifier: Apache-2.0
// bench: how fast the World is, on one core. The transports beside their peers: bench_transports.cc, bench_real.cc.
// The memory of idle connections: bench_idle.cc. A second shard: bench_shards.cc
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include "cli/bench_figures.h"
#include "cli/child.h"
#include "cli/hash_cost.h"
#include "cli/report.h"
#include "cli/run_options.h"
#include "cli/text.h"
#include "cli/verbs.h"

namespace twinwire::cli {
namespace {

constexpr const char* all_transports = "all";
constexpr const char* benched_scenario = "ping_pong";

struct BenchArguments : RunOptions {
  unsigned rounds = 7;
  std::string time = "300ms";  // of one round of one row
};

// What the project set itself, in seeds per second of one core; without knobs, at 200 messages of 256 bytes.
struct Goal {
  std::string_view transport;
  RunSpec::Base base;
  double seeds;
};
constexpr Goal goals[] = {
    {"tcp", RunSpec::Base::none, 16'000}, {"tcp", RunSpec::Base::swarm, 12'000},
    {"ws", RunSpec::Base::none, 10'000},  {"tls", RunSpec::Base::none, 600},
    {"quic", RunSpec::Base::none, 350},
};

struct Round {
  std::uint64_t seeds = 0;
  std::uint64_t steps = 0;
  double seconds = 0;            // on the wall
  double processor_seconds = 0;  // that this process had of them
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

// One row of the table: a transport with one choice of faults, and what its rounds gave.
class SimRow {
 public:
  SimRow(const Tool& tool, RunSpec spec, std::string faults)
      : tool_(&tool), spec_(std::move(spec)), faults_(std::move(faults)) {}

  const RunSpec& spec() const noexcept { return spec_; }

  // Warm, and its hash known.
  void prepare(Duration time, StackPool& stacks) {
    constexpr std::uint64_t samples = 48;
    for (std::uint64_t seed = 1; seed <= samples; ++seed)
      cost_.sample(spec_.world_run(*tool_, seed), stacks);
    (void)run_round(*tool_, spec_, seed_, std::min<Duration>(time, std::chrono::milliseconds(100)),
                    stacks);
  }

  void measure(Duration time, StackPool& stacks) {
    const Round round = run_round(*tool_, spec_, seed_, time, stacks);
    const auto steps = static_cast<double>(round.steps);
    const auto seeds = static_cast<double>(round.seeds);
    seeds_.push_back(seeds / round.processor_seconds);
    wall_.push_back(seeds / round.seconds);
    steps_.push_back(steps / round.processor_seconds);
    steps_per_seed_.push_back(steps / seeds);
    hash_percent_.push_back(100 * cost_.seconds_per_step() * steps / round.processor_seconds);
  }

  std::vector<std::string> cells() const {
    const auto [low, high] = std::minmax_element(seeds_.begin(), seeds_.end());
    const auto [hash_low, hash_high] =
        std::minmax_element(hash_percent_.begin(), hash_percent_.end());
    return {spec_.transport,
            faults_,
            whole(median(seeds_)),
            whole(*low),
            whole(*high),
            goal(),
            whole(median(wall_)),
            whole(median(steps_)),
            whole(median(steps_per_seed_)),
            one_decimal(median(hash_percent_)) + " %",
            one_decimal(*hash_low) + " to " + one_decimal(*hash_high)};
  }

 private:
  static std::string one_decimal(double value) {
    char text[32];
    (void)std::snprintf(text, sizeof text, "%.1f", value);
    return text;
  }

  std::string goal() const {
    if (spec_.scenario != benched_scenario || !spec_.knobs.empty() || !spec_.faults.empty())
      return "-";
    for (const Goal& goal : goals)
      if (goal.transport == spec_.transport && goal.base == spec_.base) return whole(goal.seeds);
    return "-";
  }

  const Tool* tool_;
  RunSpec spec_;
  std::string faults_;
  std::uint64_t seed_ = 1;
  HashCost cost_;
  std::vector<double> seeds_;  // per second of processor time, and so on; one of each round
  std::vector<double> wall_;
  std::vector<double> steps_;
  std::vector<double> steps_per_seed_;
  std::vector<double> hash_percent_;
};

// Every transport that was asked for, with every choice of faults that was: without any, and with the swarm, where none
// was given.
std::vector<SimRow> rows_of(const Tool& tool, const BenchArguments& asked) {
  const laws::ScenarioEntry& scenario = scenario_named(tool, asked.spec.scenario);
  const bool given = asked.no_faults || asked.swarm || !asked.spec.faults.empty();
  std::vector<SimRow> rows;
  const auto add = [&](std::string_view transport, bool swarm) {
    RunOptions options = asked;
    options.spec.transport = transport;
    if (!given) (swarm ? options.swarm : options.no_faults) = true;
    settle(tool, options);
    const char* faults = !options.spec.faults.empty() ? "given"
                         : options.no_faults          ? "none"
                                                      : "swarm";
    rows.emplace_back(tool, options.spec, faults);
  };
  for (std::size_t i = 0; i < laws::transport_count; ++i) {
    const std::string_view transport = laws::transport_names()[i];
    const bool all = asked.spec.transport == all_transports && scenario.bodies[i] != nullptr;
    if (!all && asked.spec.transport != transport) continue;
    add(transport, false);
    if (!given) add(transport, true);
  }
  if (rows.empty()) add(asked.spec.transport, false);  // says what is wrong with the name
  return rows;
}

ExitCode bench_sim(const Tool& tool, const BenchArguments& options) {
  const auto time = parse_duration(options.time);
  if (!time || *time == Duration::zero())
    bad_usage("'" + options.time + "' is no duration; write 1s or 500ms");
  std::vector<SimRow> rows = rows_of(tool, options);
  stay_on_one_core();
  StackPool stacks;
  const laws::Verdict first = laws::run_in_world(rows.front().spec().world_run(tool, 1), stacks);
  std::printf("%s in the World, a fresh World for each seed, one process on one core\n",
              options.spec.scenario.c_str());
  if (!first.knobs_read.empty()) std::printf("knobs      %s\n", to_text(first.knobs_read).c_str());
  std::printf("rounds     %u of %s for each row, the rows by turns\n", options.rounds,
              format_duration(*time).c_str());
  std::fflush(stdout);
  for (SimRow& row : rows) row.prepare(*time, stacks);
  for (unsigned i = 0; i < options.rounds; ++i)
    for (SimRow& row : rows) row.measure(*time, stacks);
  std::vector<std::vector<std::string>> table = {{"transport", "faults", "seeds/s", "min", "max",
                                                  "goal", "on the wall", "steps/s", "steps/seed",
                                                  "hash", "min to max"}};
  for (const SimRow& row : rows) table.push_back(row.cells());
  std::printf("%s", format_table(table, true).c_str());
  std::printf(
      "medians of the rounds, per second of processor time, with min and max. hash: its share of "
      "that, estimated:\n"
      "the same folds and digests run alone in the same round\n");
  return ExitCode::pass;
}

}  // namespace

void add_bench(CLI::App& app, const Tool& tool, ExitCode& code) {
  auto* verb = app.add_subcommand("bench", "how fast it is");
  verb->require_subcommand(1);
  auto* sim = verb->add_subcommand(
      "sim",
      "seeds per second on one core; ping_pong over all transports, without faults and with the "
      "swarm, unless told otherwise");
  auto options = std::make_shared<BenchArguments>();
  options->spec.scenario = benched_scenario;
  options->spec.transport = all_transports;
  add_run_options(*sim, *options);
  sim->add_option("--rounds", options->rounds, "of which the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  sim->add_option("--time", options->time, "of one round of one row")->capture_default_str();
  add_bench_transports(*verb, code);
  add_bench_real(*verb, code);
  add_bench_idle(*verb, code);
  add_bench_shards(*verb, code);
  add_bench_bus(*verb, code);
  sim->callback([&tool, &code, options] { code = bench_sim(tool, *options); });
}

}  // namespace twinwire::cli
