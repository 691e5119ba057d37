// SPDX-License-Identifier: Apache-2.0
// What the fixed seeds of the suite do to a transport: the account of faults and of states that must come now and then.
#pragma once

#include <cstdint>
#include <string_view>

#include "props/laws/fault_account.h"
#include "props/laws/resample.h"
#include "props/laws/sometimes.h"

namespace twinwire::props {

struct Account {
  laws::FaultTallies faults{};
  laws::SometimesTallies states{};
};

// Seeds 1 to `seeds` of a swarm. One in `resample_every` once more without one of its decisions; 0: none.
// `states_only`: no further than to the seed by which every state has come that must come over so many.
inline Account account_of(const laws::ScenarioEntry& scenario, std::size_t transport,
                          std::uint64_t seeds, std::uint64_t resample_every, StackPool& stacks,
                          bool states_only = false) {
  Account account;
  laws::WorldRun run;
  run.scenario = &scenario;
  run.transport = transport;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    run.options.seed = seed;
    run.options.faults = sim::FaultPlan::swarm(seed);
    run.options.record = run.outcome = resample_every != 0 && seed % resample_every == 0;
    const laws::Verdict verdict = laws::run_in_world(run, stacks);
    laws::count_faults(account.faults, verdict.report);
    laws::count_states(account.states, verdict.report.reached);
    if (states_only && laws::missing(account.states, transport, scenario.name, seeds).empty())
      break;
    if (!run.options.record) continue;
    const auto taken_out = laws::decision_to_take_out(seed, verdict.decisions);
    if (!taken_out) continue;
    laws::FaultTally& tally = account.faults[static_cast<std::size_t>(taken_out->site)];
    ++tally.reruns;
    if (laws::run_without(run, *taken_out, stacks).outcome != verdict.outcome) ++tally.changed;
  }
  return account;
}

// What a fault alone is good for: of its first decisions, one a seed, how many change the outcome when taken out.
// Alone, since of two that stand at bytes of one stream the later happens where the earlier is taken out. No further
// than to the first that does.
inline laws::FaultTally worth_of(sim::Site site, const laws::ScenarioEntry& scenario,
                                 std::size_t transport, std::uint64_t seeds, StackPool& stacks) {
  laws::FaultTally tally;
  laws::WorldRun run;
  run.scenario = &scenario;
  run.transport = transport;
  run.options.record = run.outcome = true;
  run.options.faults[site].ppm = sim::certain / 4;
  for (run.options.seed = 1; run.options.seed <= seeds && tally.changed == 0; ++run.options.seed) {
    const laws::Verdict verdict = laws::run_in_world(run, stacks);
    for (const sim::Decision& decision : verdict.decisions) {
      if (decision.site != site) continue;
      ++tally.reruns;
      if (laws::run_without(run, decision, stacks).outcome != verdict.outcome) ++tally.changed;
      break;
    }
  }
  return tally;
}

}  // namespace twinwire::props
