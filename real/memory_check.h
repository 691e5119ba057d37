// SPDX-License-Identifier: Apache-2.0
// Tells Valgrind what it cannot see: memory that the kernel wrote for an operation of the ring.
#pragma once

#include <cstddef>

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif

namespace twinwire::real {

inline void mark_written([[maybe_unused]] const void* data, [[maybe_unused]] std::size_t size) {
#ifdef VALGRIND_MAKE_MEM_DEFINED
  (void)VALGRIND_MAKE_MEM_DEFINED(data, size);
#endif
}

}  // namespace twinwire::real
