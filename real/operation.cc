// SPDX-License-Identifier: Apache-2.0
#include "real/operation.h"

#include <algorithm>
#include <cerrno>
#include <new>

#include "real/descriptor.h"
#include "transport/base/check.h"

namespace twinwire::real {
namespace {

// user_data: index (32 bits), generation (31 bits), and whether this is the cancel of it (1 bit).
constexpr std::uint64_t cancel_bit = std::uint64_t{1} << 63;
constexpr std::uint32_t generation_max =
    0x7fff'fffe;  // keeps clear of all ones, which liburing uses

std::uint64_t user_data_of(OperationId id) noexcept {
  return (std::uint64_t{id.generation} << 32) | id.index;
}

}  // namespace

Error error_of(const Completion& completion) noexcept {
  // An operation that the kernel had handed to a thread of its own is stopped by a signal, and says EINTR.
  const bool stopped = completion.result == -ECANCELED || completion.result == -EINTR;
  if (stopped && completion.end != Wake::ready) return {to_errc(completion.end), 0};
  return from_errno(-completion.result);
}

std::uint32_t Operations::acquire() noexcept {
  if (first_free_ == none) {
    const std::size_t old_size = slots_.size();
    const std::size_t new_size =
        std::min<std::size_t>(std::max<std::size_t>(2 * old_size, 64), slots_max_);
    if (new_size == old_size) return none;
    try {
      queue_.reserve(2 * new_size);
      slots_.resize(new_size);
    } catch (const std::bad_alloc&) {
      return none;
    }
    for (std::size_t i = new_size; i-- > old_size;) {
      slots_[i].next_free = first_free_;
      first_free_ = static_cast<std::uint32_t>(i);
    }
  }
  const std::uint32_t index = first_free_;
  first_free_ = slots_[index].next_free;
  return index;
}

void Operations::release(std::uint32_t index) noexcept {
  Slot& slot = slots_[index];
  slot.state = State::free;
  slot.generation = slot.generation == generation_max ? 1 : slot.generation + 1;
  slot.next_free = first_free_;
  first_free_ = index;
}

Completion Operations::perform(io_uring_sqe& request, Descriptor& target, OperationId& id,
                               Deadline deadline, const char* waiting_for) {
  for (;;) {
    if (scheduler_->cancel_pending()) return {-ECANCELED, 0, Wake::canceled};
    if (deadline.at <= scheduler_->now()) return {-ECANCELED, 0, Wake::timed_out};
    const std::uint32_t index = acquire();
    if (index == none) return {-ENOMEM, 0, Wake::ready};

    // Slots move when the table grows: after a suspension only the index is good.
    Slot& slot = slots_[index];
    id = {index, slot.generation};
    slot.state = State::submitted;
    slot.cancel_sent = false;
    slot.fiber = &scheduler_->current();
    slot.target = &target;
    slot.request = &request;
    request.user_data = user_data_of(id);
    ++in_flight_;
    ++counters_->operations;
    target.operation_started();
    submit({id, false});

    const Wake end = scheduler_->park(deadline, waiting_for);
    if (slots_[index].state != State::terminal) {
      cancel(id);
      CancelShield shield(*scheduler_);
      while (slots_[index].state != State::terminal)
        (void)scheduler_->park(Deadline::never(), waiting_for);
    }
    Completion completion = slots_[index].completion;
    completion.end = end;
    release(index);
    id = {};
    if (end != Wake::ready && completion.result >= 0) ++counters_->cancels_too_late;
    const bool again = completion.result == -EINTR || completion.result == -EAGAIN;
    if (!again || end != Wake::ready || target.aborted()) return completion;
  }
}

void Operations::cancel(OperationId id) noexcept {
  if (!is_submitted(id) || slots_[id.index].cancel_sent) return;
  slots_[id.index].cancel_sent = true;
  ++counters_->cancels;
  submit({id, true});
}

void Operations::submit(Queued what) noexcept {
  // First come, first served: a cancel must not overtake its operation.
  if (queue_head_ == queue_.size() && push(what)) return;
  ++counters_->queued;
  if (queue_.size() == queue_.capacity()) {
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(queue_head_));
    queue_head_ = 0;
  }
  TWINWIRE_CHECK(queue_.size() < queue_.capacity(), "more is queued than there are operations");
  queue_.push_back(what);
}

bool Operations::push(Queued what) noexcept {
  if (!what.cancel) return kernel_->push(*slots_[what.id.index].request);
  if (!is_submitted(what.id)) return true;
  io_uring_sqe request{};
  ::io_uring_prep_cancel64(&request, user_data_of(what.id), 0);
  request.user_data = user_data_of(what.id) | cancel_bit;
  return kernel_->push(request);
}

bool Operations::submit_queued() noexcept {
  while (queue_head_ != queue_.size()) {
    if (!push(queue_[queue_head_])) return false;
    ++queue_head_;
  }
  queue_.clear();
  queue_head_ = 0;
  return true;
}

void Operations::reap() noexcept {
  kernel_->reap([this](std::uint64_t user_data, std::int32_t result, std::uint32_t flags) {
    complete(user_data, result, flags);
  });
}

void Operations::complete(std::uint64_t user_data, std::int32_t result,
                          std::uint32_t flags) noexcept {
  const OperationId id{static_cast<std::uint32_t>(user_data),
                       static_cast<std::uint32_t>((user_data & ~cancel_bit) >> 32)};
  if ((user_data & cancel_bit) != 0) {
    // Completions are in order, so an operation that the kernel did not find but that has not ended either was just
    // then being retried: ask again.
    if (result == -ENOENT && is_submitted(id)) submit({id, true});
    return;
  }
  TWINWIRE_CHECK(is_submitted(id), "the kernel completed an operation that was not in flight");
  if ((flags & IORING_CQE_F_MORE) != 0) return;  // not terminal: everything stays reserved
  Slot& slot = slots_[id.index];
  slot.state = State::terminal;
  slot.completion = {result, flags, Wake::ready};
  --in_flight_;
  (void)scheduler_->wake(*slot.fiber);
  slot.target->operation_ended(
      result);  // may close and delete it: nothing of the operation needs it any more
}

}  // namespace twinwire::real
