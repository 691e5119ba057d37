// SPDX-License-Identifier: Apache-2.0
#include "real/ring_timer.h"

namespace twinwire::real {

bool RingTimer::arm(TimePoint at) noexcept {
  if (count_ != 0 && armed_[count_ - 1] <= at) return true;
  if (count_ == armed_.size()) return false;
  // Where one more is armed before the kernel has read this, both fire at the time of that one, which is earlier.
  time_.tv_sec = at.ns / 1'000'000'000;
  time_.tv_nsec = at.ns % 1'000'000'000;
  io_uring_sqe request{};
  ::io_uring_prep_timeout(&request, &time_, 0, IORING_TIMEOUT_ABS);
  request.user_data = user_data;
  if (!kernel_->push(request)) return false;
  armed_[count_++] = at;
  return true;
}

}  // namespace twinwire::real
