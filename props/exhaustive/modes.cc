// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "props/exhaustive/faults_mode.h"
#include "props/exhaustive/mode.h"
#include "props/exhaustive/operations_mode.h"

namespace twinwire::exhaustive {

std::span<const Mode> modes() noexcept {
  static constexpr std::array all{
      Mode{"stream", "every fault at every byte of a connection, in both directions", &plan_stream},
      Mode{"datagram", "every fault on every datagram of a connection", &plan_datagram},
      Mode{"cancel", "a call, or a fiber behind it, is told to stop at each of its suspensions",
           &plan_cancel},
      Mode{"memory", "each allocation finds no memory, alone and with the next two", &plan_memory},
  };
  return all;
}

}  // namespace twinwire::exhaustive
