// SPDX-License-Identifier: Apache-2.0
// QuicMemory: the heap of one connection inside the library. What the library forgets to free goes with it: ngtcp2
// 0.12.1 loses a frame of some 150 bytes when it sends parts of one stream again that lie in several pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace twinwire {

class QuicMemory {
 public:
  QuicMemory() noexcept = default;
  QuicMemory(const QuicMemory&) = delete;
  QuicMemory& operator=(const QuicMemory&) = delete;
  ~QuicMemory() {
    while (first_ != nullptr) release(first_ + 1);
  }

  void* allocate(std::size_t size) noexcept {
    auto* block = static_cast<Block*>(std::malloc(sizeof(Block) + size));
    if (block == nullptr) return nullptr;
    link(block);
    return block + 1;
  }
  void* allocate_zeroed(std::size_t count, std::size_t size) noexcept {
    if (size != 0 && count > (SIZE_MAX - sizeof(Block)) / size) return nullptr;
    void* const bytes = allocate(count * size);
    if (bytes != nullptr) std::memset(bytes, 0, count * size);
    return bytes;
  }
  void* reallocate(void* bytes, std::size_t size) noexcept {
    if (bytes == nullptr) return allocate(size);
    Block* block = unlink(bytes);
    auto* moved = static_cast<Block*>(std::realloc(block, sizeof(Block) + size));
    link(moved != nullptr ? moved : block);
    return moved != nullptr ? moved + 1 : nullptr;
  }
  void release(void* bytes) noexcept {
    if (bytes != nullptr) std::free(unlink(bytes));
  }

 private:
  struct alignas(std::max_align_t) Block {
    Block* next;
    Block* previous;
  };
  void link(Block* block) noexcept {
    block->previous = nullptr;
    block->next = first_;
    if (first_ != nullptr) first_->previous = block;
    first_ = block;
  }
  Block* unlink(void* bytes) noexcept {
    Block* const block = static_cast<Block*>(bytes) - 1;
    (block->previous != nullptr ? block->previous->next : first_) = block->next;
    if (block->next != nullptr) block->next->previous = block->previous;
    return block;
  }

  Block* first_ = nullptr;
};

}  // namespace twinwire
