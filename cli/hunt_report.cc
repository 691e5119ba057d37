// SPDX-License-Identifier: Apache-2.0
#include "cli/hunt_report.h"

#include <algorithm>
#include <cstdio>

#include "cli/text.h"

namespace twinwire::cli {
void print_result(const HuntResult& result, const char* ran) {
  const double seconds = std::max(1e-9, static_cast<double>(result.took.count()) / 1e9);
  const std::uint64_t done = result.done();
  std::printf("%s%s seeds in %s, %s per second; all hashes together %s\n", ran,
              with_commas(done).c_str(), format_duration(result.took).c_str(),
              with_commas(static_cast<std::uint64_t>(static_cast<double>(done) / seconds)).c_str(),
              hex16(result.hash_sum).c_str());
}

std::string about_unread_knob(const HuntResult& result) {
  return "no run of " + result.spec.scenario + " read the knob '" + unread_knob(result)->name +
         "'; `twinwire list` shows those that it reads";
}

void require_knobs_read(const HuntResult& result) {
  if (unread_knob(result) != nullptr) bad_usage(about_unread_knob(result));
}

}  // namespace twinwire::cli
