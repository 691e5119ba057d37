// SPDX-License-Identifier: Apache-2.0
// RingClock: CLOCK_MONOTONIC, read once per loop turn.
#pragma once

#include <cstdint>
#include <ctime>

#include "transport/net/clock.h"

namespace twinwire::real {

class RingClock final : public Clock {
 public:
  RingClock() noexcept { refresh(); }

  TimePoint now() noexcept override { return now_; }
  std::int64_t unix_now_ns() noexcept override { return read(CLOCK_REALTIME); }

  // Reads the clock; now() repeats what it said until the next time.
  TimePoint refresh() noexcept { return now_ = {read(CLOCK_MONOTONIC)}; }

 private:
  static std::int64_t read(clockid_t id) noexcept {
    timespec time{};
    ::clock_gettime(id, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  }

  TimePoint now_;
};

}  // namespace twinwire::real
