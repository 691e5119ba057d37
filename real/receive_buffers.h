// SPDX-License-Identifier: Apache-2.0
// ReceiveBuffers: buffers that bytes arrive in, and that are lent out as slices. A ring has two sets: large ones for
// one receive at a time, and small ones for receives that go on (stream_receiver.h).
//
// Where the kernel can, it picks a buffer when bytes arrive (a provided-buffer ring), so that an idle connection holds
// none. Provided buffers are used in turn, so as few are provided as do: with few of them one busy connection finds its
// buffer in the cache each time. For single receives that is one for each that is in flight; for those that go on, as
// many as completed between two looks at the ring, found by doubling whenever they were too few.
#pragma once

#include <liburing.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "real/kernel_ring.h"
#include "real/operation.h"
#include "transport/fiber/wait_queue.h"
#include "transport/wire/block.h"

namespace twinwire::real {

// Large: what a busy stream brings at once. Frames are found in it without a copy, but for the one that lies across two
// buffers: measured, for frames of 64 KiB a buffer of 256 KiB is 7 % faster than one of 128 KiB.
inline constexpr std::uint32_t large_receive_buffer = 256 * 1024;
inline constexpr std::uint32_t small_receive_buffer = 16 * 1024;

class ReceiveBuffers final : public BlockOwner, public CompletionHandler {
 public:
  // At most `limit` buffers of `buffer_size` bytes, with `group` as their provided-buffer group.
  ReceiveBuffers(std::uint32_t buffer_size, std::uint16_t group, std::uint32_t limit) noexcept;
  ReceiveBuffers(const ReceiveBuffers&) = delete;
  ReceiveBuffers& operator=(const ReceiveBuffers&) = delete;
  // Aborts if a slice of a buffer is still held. After the kernel ring is gone.
  ~ReceiveBuffers();

  // Registers a ring of `entries` provided buffers; false where the kernel has no such thing.
  bool provide(KernelRing& kernel, std::uint32_t entries) noexcept;
  bool provided() const noexcept { return ring_ != nullptr && !withdrawn_; }
  std::uint32_t buffer_size() const noexcept { return buffer_size_; }
  std::uint16_t group() const noexcept { return group_; }

  // Around each receive that lets the kernel pick. False: every buffer is lent out.
  bool begin_receive() noexcept;
  // The buffer that the kernel picked, with one reference; nullptr if it picked none. `flags`: the completion's.
  Block* end_receive(std::uint32_t flags) noexcept;

  // Around each receive that goes on. False: every buffer is lent out.
  bool begin_multishot() noexcept;
  void end_multishot() noexcept { --multishots_; }
  // The buffer of one of its completions, as of end_receive(); another one is provided in its place.
  Block* take_completed(std::uint32_t flags) noexcept;
  // A receive that went on found no buffer: provides more from now on.
  void ran_short() noexcept { multishot_wanted_ = std::min(2 * multishot_wanted_, entries_); }

  // The kernel has no receives that go on.
  void withdraw() noexcept { withdrawn_ = true; }

  // A buffer of the caller's own, with one reference, page-aligned; nullptr: every buffer is lent out.
  Block* allocate() noexcept;
  // Waits until a buffer comes back. The fibers of `scheduler` are then woken one by one, in order.
  Wake wait(Scheduler& scheduler, Deadline deadline) {
    scheduler_ = &scheduler;
    return waiters_.wait(scheduler, deadline, "a receive buffer to come back");
  }
  // For whoever was woken from wait() and takes no buffer: the next in the row may.
  void pass_on() noexcept {
    if ((!free_.empty() || in_ring_ > receives_) && !waiters_.empty())
      waiters_.wake_one(*scheduler_);
  }
  void reclaim(Block* block) noexcept override;
  // Yes while fewer than shared_max are out that were shared; never of more than a quarter of all.
  bool share(Block* block) noexcept override;

  std::size_t lent() const noexcept { return lent_; }

  // For a receive whose stream is gone: what still arrives is dropped.
  void on_completion(std::int32_t result, std::uint32_t flags, bool last) noexcept override;

 private:
  static constexpr std::uint32_t slab_buffers = 32;
  static constexpr std::size_t shared_bytes_max = std::size_t{4} << 20;
  static constexpr std::uint32_t multishot_wanted_min = 8;
  static constexpr std::uint32_t is_shared = 1U << 16;  // in a tag, beside the buffer id
  bool grow() noexcept;
  Block* take() noexcept;
  Block* picked(std::uint32_t flags) noexcept;
  void provide_up_to(std::uint32_t wanted) noexcept;

  std::uint32_t buffer_size_;
  std::uint32_t stride_;
  std::uint16_t group_;
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
  bool withdrawn_ = false;
  std::uint32_t multishots_ = 0;
  std::uint32_t multishot_wanted_ = multishot_wanted_min;
};

}  // namespace twinwire::real
