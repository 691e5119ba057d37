// SPDX-License-Identifier: Apache-2.0
// BlockQueue: bytes in pooled blocks, first in first out. What is in it does not move: it may be lent to a write
// while more is appended. Its links lie in the blocks themselves, so that only the pool can run out.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>

#include "transport/base/error.h"
#include "transport/wire/buffer_pool.h"

namespace twinwire {

class BlockQueue {
 public:
  // `shared`: parts of its blocks may stay with users (BufferPool::allow_sharing).
  explicit BlockQueue(BufferPool& pool, bool shared = false) noexcept
      : pool_(&pool), shared_(shared) {}
  BlockQueue(const BlockQueue&) = delete;
  BlockQueue& operator=(const BlockQueue&) = delete;
  ~BlockQueue() { clear(); }

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  // Copies all of `bytes` in, or none of it.
  // Errors     no_resources
  Result<void> append(std::span<const std::byte> bytes) noexcept;

  // Room for the next bytes, to be filled from its front and then committed. At least `wanted`, or as much as a block
  // has at most, so that what belongs together lies together. Empty: the pool said no.
  std::span<std::byte> space(std::size_t wanted) noexcept;
  void commit(std::size_t n) noexcept;

  // The bytes at the front as pieces; returns how many pieces.
  std::size_t gather(std::span<iovec> pieces) const noexcept;
  void drop_front(std::size_t n) noexcept;

  // The bytes of the first block, without a copy; empty where there are none.
  Slice take_front() noexcept;

  void clear() noexcept;

 private:
  Block* allocate(std::size_t room) noexcept;
  void push(Block* block) noexcept;
  void pop() noexcept;
  std::size_t tail_room() const noexcept {
    return last_ == nullptr ? 0 : last_->capacity - last_->end;
  }

  BufferPool* pool_;
  bool shared_;
  Block* first_ = nullptr;
  Block* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace twinwire
