// SPDX-License-Identifier: Apache-2.0
// What the benchmarks have in common: one core, and medians.
#pragma once

#include <sched.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "cli/text.h"

namespace twinwire::cli {

// This process and the children it starts: what two cores of a shared machine get changes from moment to moment.
inline void stay_on_one_core() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (!CPU_ISSET(i, &set)) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(i, &one);
    (void)::sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

inline std::string whole(double value) { return with_commas(static_cast<std::uint64_t>(value)); }

}  // namespace twinwire::cli
