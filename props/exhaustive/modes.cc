// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "props/exhaustive/faults_mode.h"
#include "props/exhaustive/mode.h"

namespace twinwire::exhaustive {

std::span<const Mode> modes() noexcept {
  static constexpr std::array all{
      Mode{"stream", "every fault at every byte of a connection, in both directions", &plan_stream},
      Mode{"datagram", "every fault on every datagram of a connection", &plan_datagram},
  };
  return all;
}

}  // namespace twinwire::exhaustive
