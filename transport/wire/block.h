// SPDX-License-Identifier: Apache-2.0
// Block and Slice: reference-counted memory, and a view into it that keeps it alive.
//
// A block belongs to whoever made it (a BufferPool, a network's receive ring); when its last reference is dropped it
// goes home. Counts are not atomic: a block stays on the thread of its owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "transport/base/check.h"

namespace twinwire {

struct Block;

// Takes blocks back. Implemented by a BufferPool and by networks that lend their receive buffers.
class BlockOwner {
 public:
  // `block` has no references left. Must not suspend.
  virtual void reclaim(Block* block) noexcept = 0;
  // Whether users may keep parts of `block` where they lie, however small: then it comes home with the last of them. An
  // owner says yes of so few blocks at a time that it can spare them for good. Asked once of a block that is out.
  virtual bool share(Block*) noexcept { return false; }

 protected:
  ~BlockOwner() = default;
};

struct Block {
  BlockOwner* owner;
  std::byte* data;       // `capacity` bytes; writable only while there is one reference
  std::size_t capacity;  // what keeping this block alive costs its owner
  std::uint32_t references;
  std::uint32_t tag;  // for the owner (size class, buffer id)
  // For whoever holds the block alone: a link, and which bytes are in use (BlockQueue).
  Block* next = nullptr;
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
};

// An immutable view of part of a block; copying it adds a reference. 24 bytes.
class Slice {
 public:
  Slice() noexcept = default;
  // Adopts one reference that the caller holds.
  Slice(Block* adopted, const std::byte* data, std::size_t size) noexcept
      : block_(adopted), data_(data), size_(size) {}
  Slice(const Slice& other) noexcept
      : block_(other.block_), data_(other.data_), size_(other.size_) {
    if (block_ != nullptr) ++block_->references;
  }
  Slice(Slice&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Slice& operator=(const Slice& other) noexcept { return *this = Slice(other); }
  Slice& operator=(Slice&& other) noexcept {
    if (this == &other) return *this;
    if (block_ != nullptr) unreference();
    block_ = std::exchange(other.block_, nullptr);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }
  ~Slice() {
    if (block_ != nullptr) unreference();
  }

  const std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  // Bytes of its owner's memory that this slice keeps from being reused.
  std::size_t held() const noexcept { return block_ != nullptr ? block_->capacity : 0; }
  // Whether its owner can spare that memory for as long as a user keeps a part of it (BlockOwner::share).
  bool share() const noexcept { return block_ != nullptr && block_->owner->share(block_); }

  // Its block, where that is one of `owner`, and this is the only reference to it; otherwise nullptr.
  Block* sole_block_of(const BlockOwner& owner) const noexcept {
    return block_ != nullptr && block_->owner == &owner && block_->references == 1 ? block_
                                                                                   : nullptr;
  }

  // The first `n` bytes as a slice of their own (one more reference); this one then starts after them.
  Slice take_front(std::size_t n) noexcept {
    TWINWIRE_CHECK(n <= size_, "a slice cannot give more than it has");
    if (n == size_) return std::move(*this);
    if (block_ != nullptr) ++block_->references;
    Slice front(block_, data_, n);
    drop_front(n);
    return front;
  }
  // `n` bytes from `data` on, which lie within this one, as a slice of their own (one more reference).
  Slice part(const std::byte* data, std::size_t n) const noexcept {
    if (block_ != nullptr) ++block_->references;
    return {block_, data, n};
  }
  void drop_front(std::size_t n) noexcept {
    TWINWIRE_CHECK(n <= size_, "a slice cannot drop more than it has");
    data_ += n;
    size_ -= n;
  }
  void release() noexcept {
    if (block_ != nullptr) unreference();
    block_ = nullptr;
    data_ = nullptr;
    size_ = 0;
  }

 private:
  void unreference() noexcept {
    if (--block_->references == 0) block_->owner->reclaim(block_);
  }

  Block* block_ = nullptr;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace twinwire
