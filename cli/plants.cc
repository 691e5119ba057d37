// SPDX-License-Identifier: Apache-2.0
// plants: is every planted bug caught, by which law, and after how many seeds? From several starting points each, so
// that no bug is caught by the luck of one seed.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>

#include "cli/interrupt.h"
#include "cli/planted_tool.h"
#include "cli/plants_crew.h"
#include "cli/progress.h"
#include "cli/run_options.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/whole_number.h"

namespace twinwire::cli {
namespace {

struct PlantsArguments {
  PlantsPlan plan;
  std::vector<std::string> names;  // empty: all
  std::vector<std::string> searches{"swarm"};
  unsigned jobs = 0;
  std::string hang_after = "2s";
};

// "law_broken:prefix 18, law_broken:drop 2", the most frequent first; without the number where there is only one.
std::string by_frequency(const std::map<std::string, int>& counts) {
  if (counts.size() == 1) return counts.begin()->first;
  std::vector<std::pair<int, std::string>> sorted;
  sorted.reserve(counts.size());
  for (const auto& [name, count] : counts) sorted.emplace_back(-count, name);
  std::sort(sorted.begin(), sorted.end());
  std::string text;
  for (const auto& [count, name] : sorted)
    text += (text.empty() ? "" : ", ") + name + " " + std::to_string(-count);
  return text.empty() ? "-" : text;
}

// The last two columns of a search; whether no round went by without a detection.
bool add_seeds(std::vector<std::string>& row, const std::vector<PlantRound>& rounds) {
  std::vector<std::uint64_t> seeds;
  for (const PlantRound& round : rounds)
    if (round.detected) seeds.push_back(round.seeds);
  std::sort(seeds.begin(), seeds.end());
  const bool always = seeds.size() == rounds.size();
  row.push_back(seeds.empty() ? "-" : with_commas(seeds[seeds.size() / 2]));
  row.push_back(always
                    ? with_commas(seeds.back())
                    : "not caught in " + std::to_string(rounds.size() - seeds.size()) + " rounds");
  return always;
}

// One row of the table; false where the first search missed it in a round.
bool add_row(std::vector<std::vector<std::string>>& rows, const PlantSet::Plant& plant,
             const std::vector<std::vector<PlantRound>>& searches) {
  std::map<std::string, int> keys;
  std::map<std::string, int> scenarios;
  for (const PlantRound& round : searches.front()) {
    if (!round.detected) continue;
    ++keys[round.key.data()];
    ++scenarios[round.scenario.data()];
  }
  std::vector<std::string> row{std::string(plant.name), std::string(plant.what), by_frequency(keys),
                               by_frequency(scenarios)};
  bool always = true;
  for (std::size_t i = 0; i < searches.size(); ++i)
    if (!add_seeds(row, searches[i]) && i == 0) always = false;
  rows.push_back(std::move(row));
  return always;
}

bool all_over(const std::vector<std::vector<PlantRound>>& searches) {
  return std::all_of(searches.begin(), searches.end(), [](const std::vector<PlantRound>& rounds) {
    return std::all_of(rounds.begin(), rounds.end(),
                       [](const PlantRound& round) { return round.over; });
  });
}

Search search_named(const std::string& name) {
  if (name == "swarm") return Search::swarm;
  if (name == "random") return Search::random;
  if (name == "exhaustive") return Search::exhaustive;
  bad_usage("there is no search named '" + name + "'; there are swarm, random and exhaustive");
}

ExitCode plants(const Tool& tool, PlantsArguments& options) {
  require_plants(tool);
  for (const std::string& name : options.names) require_plant(tool, name);
  if (options.names.empty())
    for (const auto& plant : tool.plants.plants) options.names.emplace_back(plant.name);
  if (!options.plan.transport.empty()) (void)transport_named(options.plan.transport);
  for (const std::string& scenario : options.plan.scenarios) (void)scenario_named(tool, scenario);
  if (options.plan.scenarios.empty())
    for (const auto& scenario : tool.registry->entries())
      options.plan.scenarios.emplace_back(scenario.name);
  options.plan.plants = options.names;
  options.plan.searches.clear();
  for (const std::string& search : options.searches)
    options.plan.searches.push_back(search_named(search));
  const Duration hang_after = parse_hang_after(options.hang_after);

  const Interrupt interrupt;
  PlantsCrew crew(tool, options.plan, options.jobs, hang_after);
  Progress progress("rounds", options.plan.jobs_total(), Duration::zero());
  while (crew.working() && interrupt.count() == 0) {
    crew.attend(std::chrono::milliseconds(100));
    progress.update(crew.done(), "");
  }
  progress.clear();

  std::vector<std::vector<std::string>> rows{
      {"planted bug", "what it does", "caught as", "by scenario"}};
  for (const std::string& search : options.searches) {
    const std::string of = options.searches.size() == 1 ? "" : search + ": ";
    const std::string what = search == "exhaustive" ? "cases" : "seeds";
    rows[0].push_back(of + what + ", median");
    rows[0].push_back(of + what + ", worst");
  }
  std::size_t missed = 0;
  std::size_t whole = 0;
  for (std::size_t i = 0; i < options.names.size(); ++i) {
    std::vector<std::vector<PlantRound>> searches;
    searches.reserve(options.searches.size());
    for (std::size_t search = 0; search < options.searches.size(); ++search)
      searches.push_back(crew.rounds_of(i, search));
    if (!all_over(searches)) continue;
    ++whole;
    missed += add_row(rows, *tool.plants.find(options.names[i]), searches) ? 0 : 1;
  }
  std::printf(
      "%s\n%zu of %zu planted bugs caught in each of %u rounds of at most %s seeds\n"
      "(a seed counts as one, whatever the number of scenarios that were run with it)\n",
      format_markdown(rows).c_str(), whole - missed, whole, options.plan.rounds,
      with_commas(options.plan.seeds_max).c_str());
  if (whole < options.names.size()) {
    std::fflush(stdout);
    std::fprintf(stderr, "twinwire: interrupted; of %zu planted bugs not every round was run\n",
                 options.names.size() - whole);
    return ExitCode::environment;
  }
  return missed == 0 ? ExitCode::pass : ExitCode::law_broken;
}

}  // namespace

void add_plants(CLI::App& app, const Tool& tool, ExitCode& code) {
  auto* verb =
      app.add_subcommand("plants", "how many seeds it takes to catch each planted bug, as a table");
  auto options = std::make_shared<PlantsArguments>();
  verb->add_option("plant", options->names, "only these; every one unless given");
  verb->add_option("--max-seeds", options->plan.seeds_max,
                   "of one round; beyond it a bug counts as not caught")
      ->check(whole_number(1, 1'000'000'000))
      ->capture_default_str();
  verb->add_option("--rounds", options->plan.rounds, "starting points for each bug")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  verb->add_option("--transport", options->plan.transport,
                   "over which transport; the one of each bug unless given");
  verb->add_option("--scenario", options->plan.scenarios,
                   "only this one, may be repeated; each in turn unless given")
      ->allow_extra_args(false);
  verb->add_option(
          "--search", options->searches,
          "swarm, random (seeds with every fault on) or exhaustive (cases of `exhaust`, "
          "scattered); may be repeated: each has columns of its own, and the first decides "
          "the exit code")
      ->allow_extra_args(false)
      ->capture_default_str();
  verb->add_option("--jobs", options->jobs, "worker processes; one for each processor unless given")
      ->check(CLI::Range(1, 4096));
  verb->add_option("--hang-after", options->hang_after,
                   "a run that resumes no fiber for so long is a hang")
      ->capture_default_str();
  verb->callback([&tool, &code, options] { code = plants(tool, *options); });
}

}  // namespace twinwire::cli
