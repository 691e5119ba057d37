// SPDX-License-Identifier: Apache-2.0
#include "cli/load_bus.h"

#include <cstdio>

#include "cli/exit_code.h"
#include "cli/text.h"

namespace twinwire::cli {

ExitCode print_bus_load(const BusLoadState& state, Duration took) {
  ExitCode code = ExitCode::pass;
  std::size_t problems = 0;
  log::ClientCounters sum;
  for (std::size_t i = 0; i < state.results.size(); ++i) {
    const BusLoadResult& result = state.results[i];
    sum.connected += result.counters.connected;
    sum.sent_again += result.counters.sent_again;
    sum.busy += result.counters.busy;
    if (result.problem.empty()) continue;
    if (problems++ == 0)
      std::fprintf(stderr, "twinwire: client %zu: %s\n", i + 1, result.problem.c_str());
    // A wrong answer is what this is to find, whatever else there was.
    if (code != ExitCode::law_broken)
      code = result.damaged ? ExitCode::law_broken : ExitCode::environment;
  }
  if (problems > 1) std::fprintf(stderr, "twinwire: and %zu other clients failed\n", problems - 1);
  const double seconds = static_cast<double>(took.count()) / 1e9;
  std::printf(
      "acknowledged %s requests of %zu clients in %s: %s per second\n",
      with_commas(state.acknowledged).c_str(), state.results.size(), format_duration(took).c_str(),
      with_commas(static_cast<std::uint64_t>(static_cast<double>(state.acknowledged) / seconds))
          .c_str());
  std::printf("sent again   %s requests, over %s connections; %s times told busy\n",
              with_commas(sum.sent_again).c_str(), with_commas(sum.connected).c_str(),
              with_commas(sum.busy).c_str());
  if (state.latency.total() != 0)
    std::printf("latency      median %s, p99 %s, worst %s\n",
                format_duration(Duration(state.latency.per_mille(500))).c_str(),
                format_duration(Duration(state.latency.per_mille(990))).c_str(),
                format_duration(Duration(state.latency.per_mille(1000))).c_str());
  return code;
}

}  // namespace twinwire::cli
