// SPDX-License-Identifier: Apache-2.0
// setsockopt(2) of an int.
#pragma once

#include <sys/socket.h>

namespace twinwire::real {

inline bool set_option(int fd, int level, int option, int value) noexcept {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

}  // namespace twinwire::real
