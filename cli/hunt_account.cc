// SPDX-License-Identifier: Apache-2.0
#include "cli/hunt_account.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/text.h"
#include "cli/whole_number.h"
#include "props/laws/fault_account.h"
#include "props/laws/sometimes.h"

namespace twinwire::cli {
namespace {

bool print_toothless(const FaultTallies& faults, std::size_t transport,
                     const laws::ScenarioEntry& scenario) {
  const auto found =
      laws::toothless(faults, transport, scenario.starts_nodes, {}, scenario.plays_kernel);
  for (const bool drawn : {false, true}) {
    std::string names;
    for (const laws::Toothless& fault : found)
      if (fault.drawn == drawn) names += " " + std::string(sim::name(fault.site));
    if (!names.empty())
      std::printf("%s:%s\n", drawn ? "struck and never bit" : "on and never drawn", names.c_str());
  }
  return found.empty();
}

// Of those that somebody asked for by name: faults that cannot meet the transport, or that the scenario takes out.
void print_misplaced(const RunSpec& spec, const laws::ScenarioEntry& scenario,
                     std::size_t transport) {
  laws::WorldRun run;
  run.scenario = &scenario;
  run.transport = transport;
  for (const std::string& setting : spec.faults) (void)run.options.faults.set(setting);
  const auto may_strike = [](const sim::FaultPlan& plan, sim::Site site) {
    return plan[site].ppm != 0 ||
           std::any_of(plan.rules.begin(), plan.rules.end(), [&](const sim::FaultRule& rule) {
             return rule.site == site && rule.fault.ppm != 0;
           });
  };
  const sim::FaultPlan plan = laws::plan_of(run);
  std::string names;
  for (std::size_t i = 0; i < sim::site_count; ++i) {
    const auto site = static_cast<sim::Site>(i);
    if (site == sim::Site::cancel || !may_strike(run.options.faults, site)) continue;
    if (!laws::meets(site, transport, scenario.starts_nodes, scenario.plays_kernel) ||
        !may_strike(plan, site))
      names += " " + std::string(sim::name(site));
  }
  if (!names.empty())
    std::printf("can never strike in %s over %s:%s\n", spec.scenario.c_str(),
                spec.transport.c_str(), names.c_str());
}

void print_states(const laws::SometimesTallies& states) {
  std::vector<std::vector<std::string>> rows{{"state", "times", "in seeds"}};
  for (const laws::SometimesEntry& entry : laws::sometimes_list()) {
    const laws::SometimesTally& tally = states[static_cast<std::size_t>(entry.state)];
    if (tally.times != 0)
      rows.push_back({std::string(entry.name), with_commas(tally.times), with_commas(tally.seeds)});
  }
  if (rows.size() > 1) std::printf("\n%s", format_table(rows, true).c_str());
}

bool print_missing(const laws::SometimesTallies& states, std::size_t transport,
                   const std::string& scenario, std::uint64_t seeds) {
  const auto missing = laws::missing(states, transport, scenario, seeds);
  for (const Sometimes state : missing) {
    const laws::SometimesEntry& entry = laws::entry_of(state);
    std::printf("never reached: %s (%s)\n", std::string(entry.name).c_str(),
                std::string(entry.what).c_str());
  }
  return missing.empty();
}

}  // namespace

void add_account_options(CLI::App& verb, AccountOptions& options) {
  verb.add_option("--resample", options.resample_every,
                  "one seed in N runs once more without one of its decisions, to count how often "
                  "a fault changes the outcome; 0: none")
      ->check(whole_number(0, 1'000'000'000))
      ->capture_default_str();
  add_requirements(verb, options);
}

void add_requirements(CLI::App& verb, AccountOptions& options) {
  verb.add_flag("--require-bites", options.require_bites,
                "fail where a fault was on in 1,000 seeds and never drawn, or struck 100 times and "
                "never bit");
  verb.add_flag(
      "--require-states", options.require_states,
      "fail where a state was not reached that the scenario must reach; for a thousand seeds and "
      "more of a swarm");
}

ExitCode report_account(const Tool& tool, const HuntResult& result, const AccountOptions& options) {
  const RunSpec& spec = result.spec;
  const std::size_t transport = transport_named(spec.transport);
  const FaultTallies faults = faults_of(result);
  const std::uint64_t done = result.done();
  std::printf("\n%s", format_faults(faults, done).c_str());
  const bool all_bit = print_toothless(faults, transport, scenario_named(tool, spec.scenario));
  print_misplaced(spec, scenario_named(tool, spec.scenario), transport);
  const laws::SometimesTallies states = states_of(result);
  print_states(states);
  // What a swarm reaches in many seeds, a plan of one's own, or a few seeds, need not; unless that is required.
  const bool swarm = spec.base == RunSpec::Base::swarm && spec.knobs.empty();
  bool all_came = true;
  if (options.require_states || swarm)
    all_came = print_missing(states, transport, spec.scenario,
                             options.require_states ? std::max(done, laws::usual_seeds) : done);
  if ((all_bit || !options.require_bites) && (all_came || !options.require_states))
    return ExitCode::pass;
  std::printf("\nthe hunt has tested less than was required of it\n");
  return ExitCode::untested;
}

}  // namespace twinwire::cli
