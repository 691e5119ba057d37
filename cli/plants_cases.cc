// SPDX-License-Identifier: Apache-2.0
#include "cli/plants_cases.h"

#include <algorithm>
#include <numeric>

namespace twinwire::cli {

PlantsCases::PlantsCases(const laws::Registry& registry, std::size_t transport, StackPool& stacks)
    : registry_(&registry), transport_(transport) {
  for (const exhaustive::Mode& mode : exhaustive::modes())
    plans_.push_back(mode.plan(registry, transport, stacks));
  // The modes by turns, as long as they have cases: a small one must not wait for the end of a large one.
  std::vector<std::uint32_t> next(plans_.size(), 0);
  for (bool any = true; any;) {
    any = false;
    for (std::uint32_t i = 0; i < plans_.size(); ++i) {
      if (next[i] == plans_[i].cases.size()) continue;
      cases_.push_back({i, next[i]++});
      any = true;
    }
  }
  step_ = std::max<std::uint64_t>(1, cases_.size() * 618 / 1000);
  while (!cases_.empty() && std::gcd(step_, cases_.size()) != 1) ++step_;
}

laws::WorldRun PlantsCases::run(std::uint64_t start, std::uint64_t nth) const {
  const std::uint64_t count = cases_.size();
  const Entry& entry = cases_[(start % count + nth % count * step_) % count];
  const exhaustive::Plan& plan = plans_[entry.plan];
  return exhaustive::run_of(*registry_, transport_, plan, plan.cases[entry.number]);
}

}  // namespace twinwire::cli
