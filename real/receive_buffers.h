// SPDX-License-Identifier: Apache-2.0
// ReceiveBuffers: 128 KiB buffers that bytes arrive in, and that are lent out as slices.
//
// Where the kernel can, it picks a buffer when bytes arrive (a provided-buffer ring), so that an idle connection holds
// none. As many buffers as there are receives in flight are provided, and no more: provided buffers are used in turn,
// and with few of them one busy connection finds its buffer in the cache each time.
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "real/kernel_ring.h"
#include "transport/fiber/wait_queue.h"
#include "transport/wire/block.h"

namespace twinwire::real {

class ReceiveBuffers final : public BlockOwner {
 public:
  static constexpr std::size_t buffer_size = 128 * 1024;
  static constexpr std::uint16_t group = 0;  // of provided buffers

  explicit ReceiveBuffers(std::uint32_t limit) noexcept;
  ReceiveBuffers(const ReceiveBuffers&) = delete;
  ReceiveBuffers& operator=(const ReceiveBuffers&) = delete;
  // Aborts if a slice of a buffer is still held. After the kernel ring is gone.
  ~ReceiveBuffers();

  // Registers a ring of `entries` provided buffers; false where the kernel has no such thing.
  bool provide(KernelRing& kernel, std::uint32_t entries) noexcept;
  bool provided() const noexcept { return ring_ != nullptr; }

  // Around each receive that lets the kernel pick. False: every buffer is lent out.
  bool begin_receive() noexcept;
  // The buffer that the kernel picked, with one reference; nullptr if it picked none. `flags`: the completion's.
  Block* end_receive(std::uint32_t flags) noexcept;

  // A buffer of the caller's own, with one reference, page-aligned; nullptr: every buffer is lent out.
  Block* allocate() noexcept;
  // Waits until a buffer comes back. The fibers of `scheduler` are then woken one by one, in order.
  Wake wait(Scheduler& scheduler, Deadline deadline) {
    scheduler_ = &scheduler;
    return waiters_.wait(scheduler, deadline, "a receive buffer to come back");
  }
  void reclaim(Block* block) noexcept override;
  // Yes while fewer than shared_max are out that were shared; never of more than a quarter of all.
  bool share(Block* block) noexcept override;

  std::size_t lent() const noexcept { return lent_; }

 private:
  static constexpr std::uint32_t slab_buffers = 32;
  static constexpr std::uint32_t shared_max = 32;
  static constexpr std::uint32_t is_shared = 1U << 16;  // in a tag, beside the buffer id
  bool grow() noexcept;
  Block* take() noexcept;

  std::uint32_t limit_;
  std::vector<Block> blocks_;  // by buffer id; reserved in full, so that they never move
  std::vector<std::uint16_t> free_;
  std::vector<std::byte*> slabs_;
  std::size_t lent_ = 0;
  std::uint32_t shared_ = 0;
  Scheduler* scheduler_ = nullptr;  // of those who wait
  WaitQueue waiters_;

  io_uring_buf_ring* ring_ = nullptr;
  std::uint32_t entries_ = 0;
  std::uint32_t receives_ = 0;  // in flight, that let the kernel pick
  std::uint32_t in_ring_ = 0;   // provided and not seen used
};

}  // namespace twinwire::real
