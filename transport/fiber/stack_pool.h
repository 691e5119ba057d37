// SPDX-License-Identifier: Apache-2.0
// StackPool: guarded stacks for fibers, reused and never given back on a hot path (a first touch of a page costs 2 us).
//
// A slot is `slot_size` bytes of address space, aligned to its size:
//
//   low  [ guard | stack, grows down ........ | StackLabel ]  high
//
// The guard is MADV_GUARD_INSTALL where the kernel has it (6.13: one mapping for all stacks) and mprotect(2) elsewhere
// (two mappings a stack: vm.max_map_count then bounds the number of fibers to about 32,000).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "transport/base/sanitizers.h"

namespace twinwire {

struct Fiber;

// Lies at the top of each slot, so that a fault handler finds the fiber from the fault's address alone, and a debugger
// finds every fiber without a global and without the program's types (docs/gdb/twinwire-gdb.py knows this layout).
struct StackLabel {
  static constexpr std::uint64_t magic_value = 0x74776972655f6669ULL;
  std::uint64_t magic = magic_value;
  Fiber* fiber =
      nullptr;  // nullptr while the stack is in the pool; then what follows means nothing
  const char* name = nullptr;
  const std::uint8_t* state = nullptr;  // Fiber::State
  const char* const* waiting_for = nullptr;
  void* const* context =
      nullptr;  // where Boost.Context saved the registers of a fiber that does not run
};
static_assert(sizeof(StackLabel) <= 64, "StackPool::top() leaves 64 bytes for it");

struct Stack {
  std::byte* base = nullptr;  // lowest address of the slot: the guard
  std::uint32_t valgrind_id = 0;
  std::uint32_t color = 0;  // spreads the tops of stacks over cache sets
};

class StackPool {
 public:
  static constexpr std::size_t guard_size = 4096;
#if defined(TWINWIRE_ASAN) || defined(TWINWIRE_TSAN)
  static constexpr std::size_t default_slot_size = 512 * 1024;
#else
  static constexpr std::size_t default_slot_size = 128 * 1024;
#endif

  // `slot_size`: a power of two, at least 16 KiB. `limit`: the most stacks alive at one time.
  explicit StackPool(std::size_t slot_size = default_slot_size,
                     std::size_t limit = 1'000'000) noexcept;
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;
  // Aborts if a stack is still out: a fiber must never be destroyed while suspended.
  ~StackPool();

  // A guarded stack; base == nullptr where the limit or the operating system says no.
  Stack allocate() noexcept;
  void release(Stack stack) noexcept;

  std::size_t slot_size() const noexcept { return slot_size_; }
  std::size_t in_use() const noexcept { return in_use_; }
  std::size_t created() const noexcept { return created_; }
  StackLabel* label(const Stack& stack) const noexcept {
    return reinterpret_cast<StackLabel*>(stack.base + slot_size_ - sizeof(StackLabel));
  }
  // Where a fiber's own stack may begin, below the label; 64-byte aligned.
  std::byte* top(const Stack& stack) const noexcept;

  // The most bytes that any fiber ever used of `stack`, to the page: what is resident (mincore(2)).
  std::size_t watermark(const Stack& stack) const noexcept;
  // The largest watermark over every stack of this pool. Slow: for reports.
  std::size_t watermark_max() const noexcept;

 private:
  Stack create() noexcept;

  std::size_t slot_size_;
  std::size_t limit_;
  std::size_t in_use_ = 0;
  std::size_t created_ = 0;
  std::vector<Stack> free_;
  struct Region {
    void* address;
    std::size_t size;
  };
  std::vector<Region> regions_;
  std::byte* next_ = nullptr;  // slots of the last region that were never used
  std::byte* end_ = nullptr;
  bool guard_by_madvise_ = true;
};

}  // namespace twinwire
