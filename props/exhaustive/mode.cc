// SPDX-License-Identifier: Apache-2.0
#include "props/exhaustive/mode.h"

#include <algorithm>

namespace twinwire::exhaustive {

laws::WorldRun run_of(const laws::Registry& registry, std::size_t transport, const Base& base) {
  laws::WorldRun run;
  run.scenario = registry.find(base.scenario);
  TWINWIRE_CHECK(run.scenario != nullptr, "a mode names a scenario that is registered");
  run.transport = transport;
  run.knobs = base.knobs;
  run.options.seed = base.seed;
  run.options.base = sim::Decisions::Base::benign;
  return run;
}

laws::WorldRun run_of(const laws::Registry& registry, std::size_t transport, const Plan& plan,
                      const Case& one) {
  laws::WorldRun run = run_of(registry, transport, plan.bases[one.base]);
  run.options.edits = one.edits;
  return run;
}

Judgement judge(const Plan& plan, const Case& one, const laws::Verdict& verdict) {
  Judgement judgement{.key = verdict.failure_key(), .detail = verdict.detail};
  judgement.outcome = static_cast<std::size_t>(
      std::find(plan.outcomes.begin(), plan.outcomes.end(), verdict.course) -
      plan.outcomes.begin());
  if (one.edits.empty()) return judgement;
  const auto fault = static_cast<std::size_t>(one.edits.back().site);
  judgement.bit = verdict.report.counts[fault].bit != 0;
  const Kind& kind = plan.kinds[one.kind];
  if (!judgement.passed() || judgement.bit || !kind.must_bite) return judgement;
  judgement.key = "no_bite";
  judgement.detail = kind.name + ": the fault did not change anything";
  return judgement;
}

}  // namespace twinwire::exhaustive
