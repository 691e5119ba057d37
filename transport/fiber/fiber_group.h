// SPDX-License-Identifier: Apache-2.0
// FiberGroup: fibers that can be made to stand still together, and have a clock of their own, as those of one machine
// do. A fiber is in the group of the fiber that made it; most are in none. Only the World has groups: its nodes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "transport/base/time.h"

namespace twinwire {

struct Fiber;

struct FiberGroup {
  bool held = false;
  // Those that were woken meanwhile, in that order.
  Fiber* first_held = nullptr;
  Fiber* last_held = nullptr;
  std::size_t held_count = 0;

  // How much its clock gains on the host's, in parts per million; less than 0: loses.
  std::int64_t drift_ppm = 0;

  // What its clock says at that time of the host's.
  TimePoint local(TimePoint host) const noexcept {
    if (drift_ppm == 0 || host == TimePoint::never()) return host;
    return {static_cast<std::int64_t>(static_cast<__int128>(host.ns) * (million + drift_ppm) /
                                      million)};
  }
  // The first time of the host's at which its clock says at least that.
  TimePoint host(TimePoint local) const noexcept {
    if (drift_ppm == 0 || local == TimePoint::never() || local.ns <= 0) return local;
    const std::int64_t rate = million + drift_ppm;
    const __int128 at = (static_cast<__int128>(local.ns) * million + rate - 1) / rate;
    return at < TimePoint::never().ns ? TimePoint{static_cast<std::int64_t>(at)}
                                      : TimePoint::never();
  }

 private:
  static constexpr std::int64_t million = 1'000'000;
};

}  // namespace twinwire
