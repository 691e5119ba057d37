// SPDX-License-Identifier: Apache-2.0
#include "cli/hunt_report.h"

#include <algorithm>
#include <cstdio>

#include "cli/text.h"

namespace twinwire::cli {
namespace {

void print_faults(const HuntResult& result) {
  const FaultTallies faults = faults_of(result);
  std::printf("\n%s", format_faults(faults, result.done()).c_str());
  std::string never;
  for (std::size_t i = 0; i < sim::site_count; ++i)
    if (faults[i].count.struck != 0 && faults[i].count.bit == 0)
      never += " " + std::string(sim::name(static_cast<sim::Site>(i)));
  if (!never.empty()) std::printf("struck and never bit:%s\n", never.c_str());
}

}  // namespace

void print_result(const HuntResult& result, const char* ran) {
  const double seconds = std::max(1e-9, static_cast<double>(result.took.count()) / 1e9);
  const std::uint64_t done = result.done();
  std::printf("%s%s seeds in %s, %s per second; all hashes together %s\n", ran,
              with_commas(done).c_str(), format_duration(result.took).c_str(),
              with_commas(static_cast<std::uint64_t>(static_cast<double>(done) / seconds)).c_str(),
              hex16(result.hash_sum).c_str());
  print_faults(result);
}

void require_knobs_read(const HuntResult& result) {
  if (const laws::Knob* knob = unread_knob(result))
    bad_usage("no run of " + result.spec.scenario + " read the knob '" + knob->name +
              "'; `twinwire list` shows those that it reads");
}

}  // namespace twinwire::cli
