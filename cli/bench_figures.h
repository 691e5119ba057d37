// SPDX-License-Identifier: Apache-2.0
// What the benchmarks have in common: one core, and medians.
#pragma once

#include <sched.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/text.h"

namespace twinwire::cli {

// The processors that this process may use.
inline std::vector<int> my_cores() {
  std::vector<int> cores;
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  cores.reserve(CPU_SETSIZE);
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &set)) cores.push_back(i);
  return cores;
}

inline void stay_on(int core) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(core, &one);
  (void)::sched_setaffinity(0, sizeof one, &one);
}

// This process and the children it starts: what two cores of a shared machine get changes from moment to moment.
inline void stay_on_one_core() {
  const std::vector<int> cores = my_cores();
  if (!cores.empty()) stay_on(cores[0]);
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

inline std::string decimal(double value, int places) {
  char text[32];
  (void)std::snprintf(text, sizeof text, "%.*f", places, value);
  return text;
}

inline std::string whole(double value) { return with_commas(static_cast<std::uint64_t>(value)); }

}  // namespace twinwire::cli
