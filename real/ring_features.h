// SPDX-License-Identifier: Apache-2.0
// What this kernel's io_uring can do, found out by doing it: a flag that the kernel ignores would not tell.
#pragma once

#include "transport/base/error.h"

namespace twinwire::real {

struct RingFeatures {
  bool buffer_rings = false;       // provided-buffer rings (Linux 5.19)
  bool multishot_accept = false;   // one request accepts many connections (5.19)
  bool multishot_receive = false;  // one request receives many times (6.0); needs buffer_rings
  bool send_zero_copy = false;     // IORING_OP_SENDMSG_ZC (6.1)
  bool ring_messages = false;      // IORING_OP_MSG_RING (5.18)
};

// On a small ring of its own, which is gone afterwards. All false where there is none to be had.
// Errors     no_resources: descriptors ran out meanwhile, so nothing is known
Result<RingFeatures> examine_ring() noexcept;

}  // namespace twinwire::real
