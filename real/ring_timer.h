// SPDX-License-Identifier: Apache-2.0
// RingTimer: what wakes a ring that sleeps for the earliest deadline of its fibers: one time-out operation
// (IORING_OP_TIMEOUT), armed again only where an earlier deadline comes up. Deadlines mostly pass unused, and one that
// was kept costs an early wake later; to hand each sleep a time-out of its own would set and take back a kernel timer
// each time.
#pragma once

#include <liburing.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "real/kernel_ring.h"
#include "transport/base/time.h"

namespace twinwire::real {

class RingTimer {
 public:
  // Of its completions; Operations never uses it.
  static constexpr std::uint64_t user_data = UINT64_MAX - 1;

  explicit RingTimer(KernelRing& kernel) noexcept : kernel_(&kernel) {}

  // From now on the ring completes something at `at` (of CLOCK_MONOTONIC) or before. False: it cannot be had now, and
  // whoever waits must wait with a time-out of its own.
  bool arm(TimePoint at) noexcept;
  // One of its time-outs has passed: the earliest.
  void completed() noexcept { --count_; }

 private:
  KernelRing* kernel_;
  std::array<TimePoint, 8> armed_{};  // in flight, each earlier than the one before
  std::size_t count_ = 0;
  __kernel_timespec time_{};  // the kernel reads it when the operation is submitted
};

}  // namespace twinwire::real
