// SPDX-License-Identifier: Apache-2.0
#include "props/laws/property.h"

#include <rapidcheck.h>

#include <iostream>

#include "transport/base/check.h"

namespace twinwire::laws {

std::string replay_line(std::string_view scenario, std::string_view transport, std::uint64_t seed) {
  return "twinwire replay " + std::to_string(seed) + " --transport " + std::string(transport) +
         " --scenario " + std::string(scenario);
}

bool holds_over_seeds(std::string_view scenario, std::size_t transport, int count) {
  const Registry registry = built_in_scenarios();
  WorldRun run;
  run.scenario = registry.find(scenario);
  TWINWIRE_CHECK(run.scenario != nullptr, "there is no scenario of that name");
  run.transport = transport;
  StackPool stacks;
  rc::detail::TestParams params;
  params.maxSuccess = count;
  params.disableShrinking = true;  // a seed has no smaller form
  const rc::detail::TestMetadata metadata{std::string(scenario), std::string(scenario)};
  const auto result = rc::detail::checkTestable(
      [&] {
        const auto seed =
            *rc::gen::noShrink(rc::gen::resize(100, rc::gen::arbitrary<std::uint64_t>()));
        run.options.seed = seed;
        run.options.faults = sim::FaultPlan::swarm(seed);
        const Verdict verdict = run_in_world(run, stacks);
        if (verdict.kind == VerdictKind::pass) return;
        std::cerr << verdict.failure_key() << ": " << verdict.detail
                  << "\nreplay: " << replay_line(scenario, transport_names()[transport], seed)
                  << std::endl;
        RC_FAIL(verdict.failure_key());
      },
      metadata, params);
  rc::detail::SuccessResult success;
  if (result.match(success)) return true;
  rc::detail::printResultMessage(result, std::cerr);
  return false;
}

}  // namespace twinwire::laws
