// SPDX-License-Identifier: Apache-2.0
// BufferPool: where message buffers come from. Size classes with free lists, a limit, and no bad_alloc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "transport/wire/block.h"

namespace twinwire {

// Says no to an allocation that would otherwise succeed: how the World makes memory run out.
class AllocationGate {
 public:
  virtual bool admit(std::size_t bytes) noexcept = 0;

 protected:
  ~AllocationGate() = default;
};

class BufferPool final : public BlockOwner {
 public:
  static constexpr std::size_t default_limit = std::size_t{1} << 32;

  // `limit` bounds the bytes in use at one time (rounded up to size classes).
  explicit BufferPool(std::size_t limit = default_limit) noexcept : limit_(limit) {}
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  // Aborts if a block is still out: whoever holds it would write into freed memory.
  ~BufferPool();

  // A block of at least `size` writable bytes with one reference, aligned to 16, not zeroed;
  // nullptr where the limit, the gate or the operating system says no.
  Block* allocate(std::size_t size) noexcept;
  void reclaim(Block* block) noexcept override;

  // Of a block that will be handed on in parts: users may keep these where they lie, while all blocks so kept hold no
  // more than shared_max. Beyond it parts are copied, as those of other blocks always are: a user that keeps a message
  // of each block would otherwise keep many times what it sees.
  static void allow_sharing(Block& block) noexcept { block.tag |= may_be_shared; }
  bool share(Block* block) noexcept override;

  // Fills the bodies of new messages with a pattern, so that a byte which was never written is the same in every run
  // (and looks like one). For the World; it costs a memset a message.
  void set_poison(bool on) noexcept { poison_ = on; }
  bool poisons() const noexcept { return poison_; }

  void set_gate(AllocationGate* gate) noexcept { gate_ = gate; }
  std::size_t bytes_in_use() const noexcept { return bytes_in_use_; }
  std::size_t blocks_in_use() const noexcept { return blocks_in_use_; }
  std::uint64_t allocations() const noexcept { return allocations_; }
  std::size_t bytes_in_use_max() const noexcept { return bytes_in_use_max_; }

 private:
  // Classes hold 512 B, 1 KiB, ... 1 MiB of data; larger blocks are not kept.
  static constexpr std::uint32_t class_count = 12;
  static constexpr std::size_t smallest = 512;
  static constexpr std::uint32_t unpooled = class_count;
  static constexpr std::size_t shared_max = std::size_t{4} << 20;
  // In a tag, beside the size class.
  static constexpr std::uint32_t may_be_shared = 1U << 8;
  static constexpr std::uint32_t is_shared = 1U << 9;
  static constexpr std::uint32_t class_mask = may_be_shared - 1;

  std::array<Block*, class_count> free_{};
  std::size_t limit_;
  std::size_t bytes_in_use_ = 0;
  std::size_t bytes_in_use_max_ = 0;
  std::size_t bytes_shared_ = 0;
  std::size_t blocks_in_use_ = 0;
  std::uint64_t allocations_ = 0;
  AllocationGate* gate_ = nullptr;
  bool poison_ = false;
};

}  // namespace twinwire
