// SPDX-License-Identifier: Apache-2.0
#include "props/exhaustive/sweep.h"

#include <vector>

namespace twinwire::exhaustive {

Sweep sweep(const laws::Registry& registry, std::size_t transport, const Plan& plan,
            std::uint64_t every, StackPool& stacks, std::string_view until) {
  Sweep all;
  std::vector<std::uint64_t> seen(plan.kinds.size(), 0);
  for (std::size_t i = 0; i < plan.cases.size(); ++i) {
    const Case& one = plan.cases[i];
    if (seen[one.kind]++ % every != 0) continue;
    const Judgement judgement =
        judge(plan, one, laws::run_in_world(run_of(registry, transport, plan, one), stacks));
    ++all.cases;
    if (judgement.outcome < plan.outcomes.size()) ++all.outcomes[judgement.outcome];
    if (judgement.passed()) continue;
    ++all.broken[judgement.key];
    if (all.first.empty())
      all.first = "case " + std::to_string(i) + ", " + plan.kinds[one.kind].name + ": " +
                  judgement.key + ": " + judgement.detail;
    if (judgement.key == until) break;
  }
  return all;
}

}  // namespace twinwire::exhaustive
