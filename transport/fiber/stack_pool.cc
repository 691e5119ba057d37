// SPDX-License-Identifier: Apache-2.0
#include "transport/fiber/stack_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <new>

#include "transport/base/check.h"
#include "transport/fiber/context_switch.h"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define TWINWIRE_VALGRIND 1
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102  // Linux 6.13; libc6-dev of Debian 12 does not know it
#endif

namespace twinwire {
namespace {

constexpr std::size_t region_slots = 16;  // one mmap for so many stacks

}  // namespace

StackPool::StackPool(std::size_t slot_size, std::size_t limit) noexcept
    : slot_size_(slot_size), limit_(limit) {
  TWINWIRE_CHECK(std::has_single_bit(slot_size) && slot_size >= 16 * 1024,
                 "a stack slot is a power of two of at least 16 KiB");
}

StackPool::~StackPool() {
  TWINWIRE_CHECK(in_use_ == 0,
                 "a stack pool was destroyed while a fiber still lived on a stack of it");
  for (const Stack& stack : free_) {
#ifdef TWINWIRE_VALGRIND
    VALGRIND_STACK_DEREGISTER(stack.valgrind_id);
#endif
    (void)stack;
  }
  for (const Region& region : regions_) {
#ifdef TWINWIRE_ASAN
    // The next mapping at this address must not inherit what is known of these frames.
    __asan_unpoison_memory_region(region.address, region.size);
#endif
    ::munmap(region.address, region.size);
  }
}

Stack StackPool::create() noexcept {
  if (next_ == end_) {
    // One slot more than needed, so that an aligned run of slots fits.
    const std::size_t size = slot_size_ * (region_slots + 1);
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return {};
    // A stack in a huge page would cost 2 MiB of memory and hide its watermark.
    (void)::madvise(memory, size, MADV_NOHUGEPAGE);
    try {
      regions_.push_back({memory, size});
    } catch (const std::bad_alloc&) {
      ::munmap(memory, size);
      return {};
    }
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    next_ = static_cast<std::byte*>(memory) +
            ((address + slot_size_ - 1) / slot_size_ * slot_size_ - address);
    end_ = next_ + slot_size_ * region_slots;
  }
  Stack stack;
  stack.base = next_;
  if (guard_by_madvise_ && ::madvise(stack.base, guard_size, MADV_GUARD_INSTALL) != 0)
    guard_by_madvise_ = false;
  // An unguarded stack would corrupt its neighbour in silence, so no guard means no stack.
  if (!guard_by_madvise_ && ::mprotect(stack.base, guard_size, PROT_NONE) != 0) return {};
  next_ += slot_size_;
  stack.color = static_cast<std::uint32_t>(created_ % 16) * 192;
#ifdef TWINWIRE_VALGRIND
  stack.valgrind_id = static_cast<std::uint32_t>(
      VALGRIND_STACK_REGISTER(stack.base + guard_size, stack.base + slot_size_));
#endif
  new (label(stack)) StackLabel;
  ++created_;
  return stack;
}

Stack StackPool::allocate() noexcept {
  if (in_use_ >= limit_) return {};
  Stack stack;
  if (!free_.empty()) {
    stack = free_.back();
    free_.pop_back();
  } else {
    // release() must not fail, so the room for it is made here.
    try {
      free_.reserve(created_ + 1 > free_.capacity() ? 2 * (created_ + 1) : 0);
    } catch (const std::bad_alloc&) {
      return {};
    }
    stack = create();
    if (stack.base == nullptr) return {};
  }
  ++in_use_;
  return stack;
}

void StackPool::release(Stack stack) noexcept {
  label(stack)->fiber = nullptr;
#ifdef TWINWIRE_VALGRIND
  // To Memcheck what lies below an old stack pointer is gone; the next fiber's callable may lie there.
  VALGRIND_MAKE_MEM_DEFINED(stack.base + guard_size, slot_size_ - guard_size);
#endif
  --in_use_;
  free_.push_back(stack);
}

std::byte* StackPool::top(const Stack& stack) const noexcept {
  return stack.base + slot_size_ - 64 - stack.color;
}

std::size_t StackPool::watermark(const Stack& stack) const noexcept {
  const std::size_t pages = slot_size_ / guard_size;
  std::array<unsigned char, 256> resident;
  for (std::size_t page = 1; page < pages;) {  // page 0 is the guard
    const std::size_t n = std::min(resident.size(), pages - page);
    if (::mincore(stack.base + page * guard_size, n * guard_size, resident.data()) != 0) return 0;
    for (std::size_t i = 0; i < n; ++i)
      if ((resident[i] & 1) != 0) return (pages - page - i) * guard_size;
    page += n;
  }
  return 0;
}

std::size_t StackPool::watermark_max() const noexcept {
  std::size_t largest = 0;
  for (const Region& region : regions_) {
    const auto address = reinterpret_cast<std::uintptr_t>(region.address);
    Stack stack;
    stack.base = static_cast<std::byte*>(region.address) +
                 ((address + slot_size_ - 1) / slot_size_ * slot_size_ - address);
    for (std::size_t i = 0; i < region_slots; ++i, stack.base += slot_size_)
      if (stack.base < next_ || region.address != regions_.back().address)
        largest = std::max(largest, watermark(stack));
  }
  return largest;
}

}  // namespace twinwire
