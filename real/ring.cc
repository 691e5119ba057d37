// SPDX-License-Identifier: Apache-2.0
#include "real/ring.h"

#include <algorithm>
#include <new>

#include "real/probe.h"

namespace twinwire::real {

Ring::Ring(const RingOptions& options) noexcept
    : measure_turns_(options.measure_turns),
      stacks_(options.stack_size, options.stacks_max),
      buffers_(options.message_bytes_max),
      scheduler_(*this, stacks_, SchedulerOptions{}),
      core_(options.kernel != nullptr ? *options.kernel : Kernel::native(), scheduler_, options) {}

Ring::~Ring() = default;

Result<std::unique_ptr<Ring>> Ring::create(const RingOptions& options) {
  std::unique_ptr<Ring> ring(new (std::nothrow) Ring(options));
  if (ring == nullptr) return Errc::no_resources;
  if (const int error = ring->core_.open(options); error != 0) return probe_error(error);
  return ring;
}

bool Ring::turn(TimePoint until, bool idle) {
  ++core_.count().turns;
  if (measure_turns_) {
    const TimePoint turn_before = clock_.now();
    busy_.add(clock_.refresh() - turn_before);
  }
  if (!idle || core_.has_work()) {
    core_.turn(Duration::zero());
  } else if (until == TimePoint::never() && core_.operations().in_flight() == 0) {
    return false;
  } else {
    core_.turn(until, clock_.now());
  }
  clock_.refresh();
  return true;
}

}  // namespace twinwire::real
