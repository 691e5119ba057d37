// SPDX-License-Identifier: Apache-2.0
// Which of io_uring's system calls a filter denies, where one lets the ring be made and denies what comes after.
#pragma once

#include <liburing.h>

namespace twinwire::real {

struct RefusedCall {
  const char* name = "";  // "io_uring_register"
  int error = 0;          // EPERM, EACCES or ENOSYS; 0: none is refused
};

// Tries io_uring_register(2) and io_uring_enter(2) on `ring`, which nothing was submitted to yet.
RefusedCall refused_call(io_uring& ring) noexcept;

// The same on a ring of its own, with io_uring_setup(2) as the first.
RefusedCall refused_call() noexcept;

}  // namespace twinwire::real
