// SPDX-License-Identifier: Apache-2.0
// FakeRing: the submission and the completion queue of one io_uring in plain memory, as liburing sees them, and what
// the kernel keeps behind them: completions that wait for the thread (DEFER_TASKRUN), those that found the queue full
// (NODROP), and the rings of provided buffers.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "props/fake_kernel/fake_operation.h"
#include "transport/base/mix.h"
#include "transport/fiber/fiber.h"

namespace twinwire::fake {

// What a kernel may lack, as bits of the choice at Site::ring_old_kernel.
enum Missing : std::uint64_t {
  no_deferred = 1,           // IORING_SETUP_DEFER_TASKRUN
  no_cooperative = 2,        // IORING_SETUP_COOP_TASKRUN
  no_buffer_rings = 4,       // io_uring_register_buf_ring(3)
  no_multishot_receive = 8,  // EINVAL
  no_multishot_accept = 16,
  no_zero_copy = 32,  // IORING_OP_SENDMSG_ZC
};

// A ring of provided buffers.
struct BufferGroup {
  io_uring_buf_ring* memory = nullptr;
  std::uint32_t entries = 0;
  std::uint16_t head = 0;     // the next that is picked
  std::uint16_t seen = 0;     // up to here they were looked at
  std::vector<bool> in_ring;  // by id
};

class FakeRing {
 public:
  FakeRing(EntityId entity, unsigned submissions, unsigned completions);
  FakeRing(const FakeRing&) = delete;
  FakeRing& operator=(const FakeRing&) = delete;

  void publish(io_uring& ring, const io_uring_params& params);

  unsigned submissions_waiting() const noexcept { return user->sq.sqe_tail - sq_head_; }
  bool submission_queue_full() const noexcept { return submissions_waiting() == sq_entries_; }
  io_uring_sqe take_submission() noexcept;

  // A completion; with DEFER_TASKRUN it waits for the thread to enter.
  void post(std::uint64_t user_data, std::int32_t result, std::uint32_t flags);
  // Moves into the queue what waits for that.
  void flush();
  bool completions_ready() const noexcept { return cq_tail_ != cq_head_; }
  // Something that the thread does not see before it enters.
  bool has_work() const noexcept { return sq_flags_ != 0; }
  // Room for one completion that is not the last of its operation.
  bool has_room() const noexcept {
    return overflowed_.empty() && cq_tail_ - cq_head_ + work_.size() + 1 < cq_entries_;
  }
  bool overflowed() const noexcept { return !overflowed_.empty(); }

  const EntityId entity;
  io_uring* user = nullptr;
  bool deferred = false;
  std::uint64_t missing = 0;
  std::uint64_t enters = 0;
  unsigned refused = 0;                 // enters in a row that did nothing
  unsigned cancels = 0;                 // in a row, and nothing else came of it
  bool small_submission_queue = false;  // by the fault
  Fiber* waiter = nullptr;              // in wait()
  std::vector<std::unique_ptr<FakeOperation>> operations;
  std::vector<std::unique_ptr<LateAnswer>> answers;  // that come later
  std::map<std::uint16_t, BufferGroup> groups;

 private:
  struct Completion {
    std::uint64_t user_data;
    std::int32_t result;
    std::uint32_t flags;
  };
  bool push(const Completion& completion) noexcept;

  unsigned sq_entries_;
  unsigned cq_entries_;
  unsigned sq_head_ = 0;
  unsigned sq_tail_ = 0;
  unsigned sq_flags_ = 0;
  unsigned sq_dropped_ = 0;
  unsigned cq_head_ = 0;
  unsigned cq_tail_ = 0;
  unsigned cq_flags_ = 0;
  unsigned cq_overflow_ = 0;
  std::vector<io_uring_sqe> sqes_;
  std::vector<std::uint64_t> cqes_;  // two words each
  std::deque<Completion> work_;      // for the thread to fetch
  std::deque<Completion> overflowed_;
};

}  // namespace twinwire::fake
