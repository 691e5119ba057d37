// SPDX-License-Identifier: Apache-2.0
// Counts what calls malloc(3), operator new among it, in the executable that includes this: in one of its files.
// Sanitizers have a malloc of their own: such a test is no_asan and no_tsan.
#pragma once

#include <cstddef>
#include <cstdint>

namespace twinwire {

inline std::uint64_t allocations = 0;  // of the process; such tests have one thread

}  // namespace twinwire

// What the C library has behind its own.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t size) {
  ++twinwire::allocations;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  ++twinwire::allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) {
  ++twinwire::allocations;
  return __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  ++twinwire::allocations;
  return __libc_memalign(alignment, size);
}
}
