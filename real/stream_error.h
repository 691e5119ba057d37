// SPDX-License-Identifier: Apache-2.0
// The errors of a stream that is connected: whatever the kernel says beyond "not now" means that it is lost.
#pragma once

#include "real/operation.h"

namespace twinwire::real {

inline Error stream_error(const Completion& completion) noexcept {
  const Error error = error_of(completion);
  switch (error.code) {
    case Errc::timed_out:
    case Errc::canceled:
    case Errc::no_resources: return error;
    default: return {Errc::broken, error.os_errno};
  }
}

}  // namespace twinwire::real
