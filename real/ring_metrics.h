// SPDX-License-Identifier: Apache-2.0
// What a Ring counted, for an operator. A copy is taken by the ring's own thread; any thread may write it down.
#pragma once

#include <cstddef>
#include <span>

#include "real/prometheus_text.h"
#include "real/ring.h"

namespace twinwire::real {

struct RingSample {
  unsigned shard = 0;
  Counters counters;
  LatencyHistogram busy;
  std::size_t fibers = 0;
  std::size_t operations_in_flight = 0;
  std::size_t receive_buffers_lent = 0;
  std::size_t message_bytes = 0;  // that the pool of message buffers has given out
};

std::string_view name(RingMode mode) noexcept;  // "deferred"

// On the ring's thread.
RingSample sample(Ring& ring, unsigned shard);

// One family after another, in each a sample of every shard, labelled shard="0", "1" ...
void write_metrics(PrometheusText& text, std::span<const RingSample> shards);

}  // namespace twinwire::real
