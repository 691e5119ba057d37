// SPDX-License-Identifier: Apache-2.0
// What each shard of a `serve` says of itself at one moment, brought to the shard that answers a scrape.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "cli/serve_session.h"
#include "real/ring_metrics.h"
#include "real/shard.h"

namespace twinwire::cli {

struct ServeSample {
  real::RingSample ring;
  ServeTotals totals;
  std::size_t sessions = 0;
  real::LatencyHistogram answering;
};

// On the ring's thread.
ServeSample sample(real::Ring& ring, const ServeState& state, unsigned shard);

// Lives in the body of the shard `here`, and is used by its fibers alone.
class ServeSamples {
 public:
  // A shard answers between two of its fibers' turns. One that does not for so long is in trouble, which should show.
  static constexpr Duration patience = std::chrono::seconds(2);

  // `states`: of every shard, by number. They outlive all shards' bodies.
  ServeSamples(real::Shard& here, const std::vector<ServeState>& states) noexcept
      : here_(&here), states_(&states) {}
  ServeSamples(const ServeSamples&) = delete;
  ServeSamples& operator=(const ServeSamples&) = delete;

  // Of every shard, by number: taken on its own thread, so that nothing is looked at while it changes.
  // Suspends   Until all have answered; for `patience` at most.
  // Errors     timed_out (one has not) · canceled · those of Shard::post
  Result<std::vector<ServeSample>> gather();

 private:
  struct Round {
    std::vector<ServeSample> samples;
    std::size_t missing;
    Event complete;
  };

  void take(std::uint64_t round, ServeSample sample);

  real::Shard* here_;
  const std::vector<ServeState>* states_;
  std::uint64_t rounds_begun_ = 0;
  std::map<std::uint64_t, Round*> rounds_;  // that somebody waits for
};

}  // namespace twinwire::cli
