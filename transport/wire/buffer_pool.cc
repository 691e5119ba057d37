// SPDX-License-Identifier: Apache-2.0
#include "transport/wire/buffer_pool.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>

namespace twinwire {
namespace {

// The link of a free block lies in its data, which nobody uses.
Block*& next_free(Block* block) noexcept { return *reinterpret_cast<Block**>(block->data); }

constexpr std::size_t block_header = (sizeof(Block) + 15) / 16 * 16;

// With its header and rounding still a size that malloc(3) understands.
constexpr std::size_t largest = PTRDIFF_MAX - block_header - 16;

}  // namespace

BufferPool::~BufferPool() {
  TWINWIRE_CHECK(blocks_in_use_ == 0, "a buffer pool was destroyed while a message still used it");
  for (Block* head : free_)
    while (head != nullptr) std::free(std::exchange(head, next_free(head)));
}

Block* BufferPool::allocate(std::size_t size) noexcept {
  const std::size_t wanted = std::max(size, smallest);
  const auto size_class = static_cast<std::uint32_t>(
      std::min<std::size_t>(std::bit_width((wanted - 1) / smallest), unpooled));
  const std::size_t capacity = size_class == unpooled ? wanted : smallest << size_class;
  if (capacity > largest) return nullptr;
  if (capacity > limit_ - bytes_in_use_ || bytes_in_use_ > limit_) return nullptr;
  if (gate_ != nullptr && !gate_->admit(capacity)) return nullptr;

  Block* block = nullptr;
  if (size_class != unpooled && free_[size_class] != nullptr) {
    block = free_[size_class];
    free_[size_class] = next_free(block);
  } else {
    void* memory = std::aligned_alloc(16, block_header + (capacity + 15) / 16 * 16);
    if (memory == nullptr) return nullptr;
    block = new (memory)
        Block{this, static_cast<std::byte*>(memory) + block_header, capacity, 0, size_class};
  }
  block->references = 1;
  ++blocks_in_use_;
  ++allocations_;
  bytes_in_use_ += capacity;
  bytes_in_use_max_ = std::max(bytes_in_use_max_, bytes_in_use_);
  return block;
}

bool BufferPool::share(Block* block) noexcept {
  if ((block->tag & may_be_shared) == 0) return false;
  if ((block->tag & is_shared) != 0) return true;
  // An eighth of a small pool is as much as it can spare.
  if (bytes_shared_ + block->capacity > std::min(shared_max, limit_ / 8)) return false;
  block->tag |= is_shared;
  bytes_shared_ += block->capacity;
  return true;
}

void BufferPool::reclaim(Block* block) noexcept {
  --blocks_in_use_;
  bytes_in_use_ -= block->capacity;
  if ((block->tag & is_shared) != 0) bytes_shared_ -= block->capacity;
  block->tag &= class_mask;
  if (block->tag == unpooled) {
    std::free(block);
    return;
  }
  next_free(block) = free_[block->tag];
  free_[block->tag] = block;
}

}  // namespace twinwire
