// SPDX-License-Identifier: Apache-2.0
#include "cli/lean_plan.h"

#include <algorithm>
#include <utility>

namespace twinwire::cli {
namespace {

PlannedRun scheduled_part(PlannedRun run) {
  run.plan.faults.fill({});
  for (std::size_t i = run.plan.rules.size(); i-- > 0;)
    if (!run.plan.rules[i].is_scheduled()) drop_rule(run, i);
  return run;
}

}  // namespace

void drop_rule(PlannedRun& run, std::size_t nth) {
  run.plan.rules.erase(run.plan.rules.begin() + static_cast<std::ptrdiff_t>(nth));
  const auto number = [](const sim::Decision& d) {
    return d.occurrence - sim::appointment(d.site, 0);
  };
  const auto is_appointed = [](const sim::Decision& d) {
    return (sim::strikes_node(d.site) || sim::stands_at_byte(d.site)) &&
           d.occurrence >= sim::appointment(d.site, 0);
  };
  std::erase_if(run.decisions,
                [&](const sim::Decision& d) { return is_appointed(d) && number(d) == nth; });
  for (sim::Decision& d : run.decisions)
    if (is_appointed(d) && number(d) > nth) --d.occurrence;
}

bool make_lean(PlannedRun& run, const std::function<bool(PlannedRun& candidate)>& keeps) {
  bool leaner = false;
  const auto attempt = [&](PlannedRun candidate) {
    if (!keeps(candidate)) return;
    run = std::move(candidate);
    leaner = true;
  };
  PlannedRun scheduled = scheduled_part(run);
  if (scheduled.plan.to_text() != run.plan.to_text()) attempt(std::move(scheduled));
  for (std::size_t i = run.plan.rules.size(); i-- > 0;) {
    PlannedRun without = run;
    drop_rule(without, i);
    attempt(std::move(without));
  }
  if (run.plan.calm != TimePoint::never()) {
    PlannedRun without = run;
    without.plan.calm = TimePoint::never();
    attempt(std::move(without));
  }
  return leaner;
}

}  // namespace twinwire::cli
