// SPDX-License-Identifier: Apache-2.0
#include "props/fake_kernel/fake_ring.h"

namespace twinwire::fake {

static_assert(sizeof(io_uring_cqe) == 16, "completions are two words");

FakeRing::FakeRing(EntityId who, unsigned submissions, unsigned completions)
    : entity(who),
      sq_entries_(submissions),
      cq_entries_(completions),
      sqes_(submissions),
      cqes_(std::size_t{completions} * 2) {}

void FakeRing::publish(io_uring& ring, const io_uring_params& params) {
  ring = {};
  ring.flags = params.flags;
  ring.features = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_SINGLE_MMAP;
  ring.ring_fd = ring.enter_ring_fd = -1;
  ring.sq.khead = &sq_head_;
  ring.sq.ktail = &sq_tail_;
  ring.sq.kflags = &sq_flags_;
  ring.sq.kdropped = &sq_dropped_;
  ring.sq.kring_mask = &ring.sq.ring_mask;
  ring.sq.kring_entries = &ring.sq.ring_entries;
  ring.sq.sqes = sqes_.data();
  ring.sq.ring_entries = sq_entries_;
  ring.sq.ring_mask = sq_entries_ - 1;
  ring.cq.khead = &cq_head_;
  ring.cq.ktail = &cq_tail_;
  ring.cq.kflags = &cq_flags_;
  ring.cq.koverflow = &cq_overflow_;
  ring.cq.kring_mask = &ring.cq.ring_mask;
  ring.cq.kring_entries = &ring.cq.ring_entries;
  ring.cq.cqes = reinterpret_cast<io_uring_cqe*>(cqes_.data());
  ring.cq.ring_entries = cq_entries_;
  ring.cq.ring_mask = cq_entries_ - 1;
  user = &ring;
  deferred = (params.flags & IORING_SETUP_DEFER_TASKRUN) != 0;
}

io_uring_sqe FakeRing::take_submission() noexcept {
  const io_uring_sqe request = sqes_[sq_head_ & (sq_entries_ - 1)];
  ++sq_head_;
  user->sq.sqe_head = sq_tail_ = sq_head_;
  return request;
}

bool FakeRing::push(const Completion& completion) noexcept {
  if (cq_tail_ - cq_head_ == cq_entries_) return false;
  io_uring_cqe& entry = user->cq.cqes[cq_tail_ & (cq_entries_ - 1)];
  entry.user_data = completion.user_data;
  entry.res = completion.result;
  entry.flags = completion.flags;
  ++cq_tail_;
  return true;
}

void FakeRing::post(std::uint64_t user_data, std::int32_t result, std::uint32_t flags) {
  const Completion completion{user_data, result, flags};
  if (deferred) {
    work_.push_back(completion);
    sq_flags_ |= IORING_SQ_TASKRUN;
  } else if (overflowed() || !push(completion)) {
    overflowed_.push_back(completion);
    sq_flags_ |= IORING_SQ_CQ_OVERFLOW;
  }
}

void FakeRing::flush() {
  for (; !overflowed_.empty() && push(overflowed_.front()); overflowed_.pop_front()) {}
  for (; !work_.empty(); work_.pop_front())
    if (overflowed() || !push(work_.front())) overflowed_.push_back(work_.front());
  sq_flags_ = overflowed() ? IORING_SQ_CQ_OVERFLOW : 0;
}

}  // namespace twinwire::fake
