// SPDX-License-Identifier: Apache-2.0
#include "real/ring.h"

#include <algorithm>
#include <new>

#include "real/probe.h"
#include "transport/base/check.h"

namespace twinwire::real {

Ring::Ring(const RingOptions& options) noexcept
    : measure_turns_(options.measure_turns),
      stacks_(options.stack_size, options.stacks_max),
      buffers_(options.message_bytes_max),
      receive_buffers_(options.receive_buffers_max),
      kernel_(counters_),
      scheduler_(*this, stacks_, SchedulerOptions{}),
      operations_(kernel_, scheduler_, counters_, options.operations_max) {}

Ring::~Ring() {
  TWINWIRE_CHECK(operations_.in_flight() == 0,
                 "a ring was destroyed while the kernel still worked for it");
}

Result<std::unique_ptr<Ring>> Ring::create(const RingOptions& options) {
  std::unique_ptr<Ring> ring(new (std::nothrow) Ring(options));
  if (ring == nullptr) return Errc::no_resources;
  if (const int error = ring->kernel_.open(options); error != 0) return probe_error(error);
  // Without provided buffers (before Linux 5.19) each receive brings its own.
  if (options.provided_buffers != 0)
    (void)ring->receive_buffers_.provide(ring->kernel_, options.provided_buffers);
  return ring;
}

bool Ring::turn(TimePoint until, bool idle) {
  ++counters_.turns;
  if (measure_turns_) {
    const TimePoint turn_before = clock_.now();
    busy_.add(clock_.refresh() - turn_before);
  }
  const bool all_queued = operations_.submit_queued();
  if (!idle || !all_queued || kernel_.has_completions()) {
    kernel_.poll();
  } else if (until != TimePoint::never()) {
    const Duration left = until - clock_.refresh();
    left > Duration::zero() ? kernel_.wait(left) : kernel_.poll();
  } else if (operations_.in_flight() != 0) {
    kernel_.wait(Duration::max());
  } else {
    return false;
  }
  operations_.reap();
  clock_.refresh();
  return true;
}

}  // namespace twinwire::real
