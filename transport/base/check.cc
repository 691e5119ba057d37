// SPDX-License-Identifier: Apache-2.0
#include "transport/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace twinwire {

void check_failed(const char* condition, const char* message, const char* file, int line) noexcept {
  std::fprintf(stderr, "twinwire: %s (%s at %s:%d)\n", message, condition, file, line);
  std::fflush(stderr);
  std::abort();
}

}  // namespace twinwire
