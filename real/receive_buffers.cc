// SPDX-License-Identifier: Apache-2.0
#include "real/receive_buffers.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "transport/base/check.h"
#include "transport/base/plant.h"

namespace twinwire::real {
namespace {

constexpr std::uint32_t page = 4096;

void* map(std::size_t size) noexcept {
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

ReceiveBuffers::ReceiveBuffers(std::uint32_t buffer_size, std::uint16_t group,
                               std::uint32_t limit) noexcept
    : buffer_size_(buffer_size),
      // On pages; one page more than it takes, so that the first bytes of many buffers do not all compete for the same
      // few lines of the cache.
      stride_((buffer_size + 2 * page - 1) / page * page),
      group_(group),
      limit_(limit) {
  TWINWIRE_CHECK(limit <= 65535, "a provided buffer's id has 16 bits");
}

ReceiveBuffers::~ReceiveBuffers() {
  TWINWIRE_CHECK(lent_ == 0, "a ring was destroyed while received bytes were still held");
  for (std::byte* slab : slabs_) ::munmap(slab, std::size_t{slab_buffers} * stride_);
  if (ring_ != nullptr) ::munmap(ring_, entries_ * sizeof(io_uring_buf));
}

bool ReceiveBuffers::provide(KernelRing& kernel, std::uint32_t entries) noexcept {
  void* memory = map(entries * sizeof(io_uring_buf));
  if (memory == nullptr) return false;
  io_uring_buf_reg request{};
  request.ring_addr = reinterpret_cast<std::uintptr_t>(memory);
  request.ring_entries = entries;
  request.bgid = group_;
  if (kernel.register_buffers(request) != 0) {
    ::munmap(memory, entries * sizeof(io_uring_buf));
    return false;
  }
  ring_ = static_cast<io_uring_buf_ring*>(memory);
  entries_ = entries;
  ::io_uring_buf_ring_init(ring_);
  return true;
}

bool ReceiveBuffers::grow() noexcept {
  const std::size_t have = blocks_.size();
  if (have + 1 > limit_) return false;
  const std::size_t count = std::min<std::size_t>(slab_buffers, limit_ - have);
  try {
    blocks_.reserve(limit_);
    free_.reserve(limit_);
    slabs_.reserve(limit_ / slab_buffers + 1);
  } catch (const std::bad_alloc&) {
    return false;
  }
  auto* memory = static_cast<std::byte*>(map(std::size_t{slab_buffers} * stride_));
  if (memory == nullptr) return false;
  slabs_.push_back(memory);
  for (std::size_t i = 0; i < count; ++i)
    blocks_.push_back(
        {this, memory + i * stride_, buffer_size_, 0, static_cast<std::uint32_t>(have + i)});
  for (std::size_t i = count; i-- > 0;) free_.push_back(static_cast<std::uint16_t>(have + i));
  return true;
}

Block* ReceiveBuffers::take() noexcept {
  if (free_.empty() && !grow()) return nullptr;
  Block* block = &blocks_[free_.back()];
  free_.pop_back();
  return block;
}

Block* ReceiveBuffers::allocate() noexcept {
  Block* block = take();
  if (block == nullptr) return nullptr;
  block->references = 1;
  ++lent_;
  return block;
}

void ReceiveBuffers::reclaim(Block* block) noexcept {
  --lent_;
  if ((block->tag & is_shared) != 0) --shared_;
  block->tag &= is_shared - 1;
  free_.push_back(static_cast<std::uint16_t>(block->tag));
  if (PLANT(ring_buffer_given_twice)) free_.push_back(static_cast<std::uint16_t>(block->tag));
  if (PLANT(ring_buffer_wakes_nobody)) return;
  pass_on();
}

bool ReceiveBuffers::share(Block* block) noexcept {
  if ((block->tag & is_shared) != 0) return true;
  if (shared_ >= std::min<std::size_t>(shared_bytes_max / buffer_size_, limit_ / 4)) return false;
  block->tag |= is_shared;
  ++shared_;
  return true;
}

void ReceiveBuffers::provide_up_to(std::uint32_t wanted) noexcept {
  wanted = std::min(wanted, entries_);  // or the ring would overwrite what is in it
  int added = 0;
  while (in_ring_ < wanted) {
    Block* block = take();
    if (block == nullptr) break;
    ::io_uring_buf_ring_add(ring_, block->data, buffer_size_,
                            static_cast<unsigned short>(block->tag), static_cast<int>(entries_ - 1),
                            added++);
    ++in_ring_;
  }
  if (added != 0) ::io_uring_buf_ring_advance(ring_, added);
}

bool ReceiveBuffers::begin_receive() noexcept {
  provide_up_to(receives_ + 1);
  if (in_ring_ == 0) return false;
  ++receives_;
  return true;
}

bool ReceiveBuffers::begin_multishot() noexcept {
  provide_up_to(std::min(multishots_ + 1, multishot_wanted_));
  if (in_ring_ == 0) return false;
  ++multishots_;
  return true;
}

Block* ReceiveBuffers::end_receive(std::uint32_t flags) noexcept {
  --receives_;
  Block* const block = picked(flags);
  if (block == nullptr) pass_on();  // what was provided for this receive is another's now
  return block;
}

Block* ReceiveBuffers::picked(std::uint32_t flags) noexcept {
  if ((flags & IORING_CQE_F_BUFFER) == 0) return nullptr;
  --in_ring_;
  Block* block = &blocks_[flags >> IORING_CQE_BUFFER_SHIFT];
  if (PLANT(ring_wrong_buffer) && block != &blocks_.front()) --block;
  block->references = 1;
  ++lent_;
  return block;
}

Block* ReceiveBuffers::take_completed(std::uint32_t flags) noexcept {
  Block* block = picked(flags);
  provide_up_to(std::min(multishots_, multishot_wanted_));
  return block;
}

void ReceiveBuffers::on_completion(std::int32_t, std::uint32_t flags, bool last) noexcept {
  if (Block* block = picked(flags)) Slice(block, nullptr, 0).release();
  if (last) end_multishot();
}

}  // namespace twinwire::real
