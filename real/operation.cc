// SPDX-License-Identifier: Apache-2.0
#include "real/operation.h"

#include <algorithm>
#include <cerrno>
#include <new>

#include "real/descriptor.h"
#include "transport/base/check.h"
#include "transport/base/plant.h"

namespace twinwire::real {
namespace {

// user_data: index (32 bits), generation (31 bits), and whether this is the cancel of it (1 bit).
constexpr std::uint64_t cancel_bit = std::uint64_t{1} << 63;
constexpr std::uint32_t generation_max =
    0x7fff'fffe;  // keeps clear of all ones, which liburing uses

std::uint64_t user_data_of(OperationId id) noexcept {
  return (std::uint64_t{id.generation} << 32) | id.index;
}

// PLANT(ring_memory_freed_at_cancel): nobody is told any more.
class Nobody final : public CompletionHandler {
 public:
  void on_completion(std::int32_t, std::uint32_t, bool) noexcept override {}
};
Nobody nobody;

}  // namespace

Error error_of(const Completion& completion) noexcept {
  // An operation that the kernel had handed to a thread of its own is stopped by a signal, and says EINTR. One that
  // would have been repeated, had it not been told to end meanwhile, has not failed either.
  const bool stopped = completion.result == -ECANCELED || completion.result == -EINTR ||
                       completion.result == -EAGAIN;
  if (stopped && completion.end != Wake::ready) return {to_errc(completion.end), 0};
  return from_errno(-completion.result);
}

bool Operations::grow() noexcept {
  const std::size_t old_size = slots_.size();
  const std::size_t new_size =
      std::min<std::size_t>(std::max<std::size_t>(2 * old_size, 64), slots_max_);
  if (new_size == old_size) return false;
  try {
    queue_.reserve(2 * new_size);
    slots_.resize(new_size);
  } catch (const std::bad_alloc&) {
    return false;
  }
  for (std::size_t i = new_size; i-- > old_size;) {
    slots_[i].next_free = first_free_;
    first_free_ = static_cast<std::uint32_t>(i);
  }
  return true;
}

inline void Operations::release(std::uint32_t index) noexcept {
  Slot& slot = slots_[index];
  slot.state = State::free;
  slot.generation = slot.generation == generation_max ? 1 : slot.generation + 1;
  slot.next_free = first_free_;
  first_free_ = index;
}

inline OperationId Operations::begin(io_uring_sqe& request, Descriptor& target) noexcept {
  const std::uint32_t index = acquire();
  if (index == none) return {};
  Slot& slot = slots_[index];
  const OperationId id{index, slot.generation};
  slot.state = State::submitted;
  slot.cancel_sent = false;
  slot.has_result = false;
  slot.fiber = nullptr;
  slot.handler = nullptr;
  slot.target = &target;
  request.user_data = user_data_of(id);
  ++in_flight_;
  ++counters_->operations;
  target.operation_started();
  return id;
}

Completion Operations::perform(io_uring_sqe& request, Descriptor& target, OperationId& id,
                               Deadline deadline, const char* waiting_for) {
  for (;;) {
    if (scheduler_->cancel_pending()) return {-ECANCELED, 0, Wake::canceled};
    if (deadline != Deadline::never() && deadline.at <= scheduler_->now())
      return {-ECANCELED, 0, Wake::timed_out};
    id = begin(request, target);
    if (id.generation == 0) return {-ENOMEM, 0, Wake::ready};

    // Slots move when the table grows: after a suspension only the index is good.
    const std::uint32_t index = id.index;
    slots_[index].fiber = &scheduler_->current();
    submit(id, request, false);

    const Wake end = scheduler_->park(deadline, waiting_for);
    const auto freed_early = [&] {
      return PLANT(ring_memory_freed_before_notification) &&
             (slots_[index].handler == &nobody || slots_[index].generation != id.generation);
    };
    if (slots_[index].state != State::terminal && !freed_early()) {
      cancel(id);
      if (PLANT(ring_memory_freed_at_cancel)) {
        slots_[index].handler = &nobody;
        return {-ECANCELED, 0, end};
      }
      CancelShield shield(*scheduler_);
      while (slots_[index].state != State::terminal && !freed_early())
        (void)scheduler_->park(Deadline::never(), waiting_for);
    }
    Completion completion = slots_[index].completion;
    completion.end = end;
    if (freed_early()) return completion;
    release(index);
    id = {};
    if (PLANT(ring_cancel_discards_success) && end != Wake::ready) completion.result = -ECANCELED;
    if (end != Wake::ready && completion.result >= 0) ++counters_->cancels_too_late;
    const bool again = completion.result == -EINTR || completion.result == -EAGAIN;
    if (PLANT(ring_interrupted_surfaces)) return completion;
    if (!again || end != Wake::ready || target.aborted()) return completion;
  }
}

OperationId Operations::start(io_uring_sqe& request, Descriptor& target,
                              CompletionHandler& handler) noexcept {
  const OperationId id = begin(request, target);
  if (id.generation == 0) return {};
  slots_[id.index].handler = &handler;
  submit(id, request, false);
  return id;
}

void Operations::cancel(OperationId id) noexcept {
  if (!is_submitted(id) || slots_[id.index].cancel_sent) return;
  slots_[id.index].cancel_sent = true;
  ++counters_->cancels;
  submit_cancel(id);
}

void Operations::submit_cancel(OperationId id) noexcept {
  io_uring_sqe request{};
  ::io_uring_prep_cancel64(&request, user_data_of(id), 0);
  request.user_data = user_data_of(id) | cancel_bit;
  submit(id, request, true);
}

void Operations::queue(OperationId id, const io_uring_sqe& request, bool is_cancel) noexcept {
  if (PLANT(ring_cancel_lost_when_full) && is_cancel) return;
  ++counters_->queued;
  if (queue_.size() == queue_.capacity()) {
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(queue_head_));
    queue_head_ = 0;
  }
  TWINWIRE_CHECK(queue_.size() < queue_.capacity(), "more is queued than there are operations");
  queue_.push_back({id, is_cancel, request});
}

bool Operations::submit_queued() noexcept {
  if (!any_queued()) return true;
  for (; queue_head_ != queue_.size(); ++queue_head_) {
    const Queued& next = queue_[queue_head_];
    // What ended meanwhile needs no cancel.
    if (next.cancel && !is_submitted(next.id)) continue;
    if (!kernel_->push(next.request)) return false;
  }
  queue_.clear();
  queue_head_ = 0;
  return true;
}

void Operations::complete(std::uint64_t user_data, std::int32_t result,
                          std::uint32_t flags) noexcept {
  OperationId id{static_cast<std::uint32_t>(user_data),
                 static_cast<std::uint32_t>((user_data & ~cancel_bit) >> 32)};
  if (PLANT(ring_overflow_drops) && id.index % 4 == 3 && (flags & IORING_CQE_F_MORE) != 0) return;
  if (PLANT(ring_generation_unchecked)) id.generation = slots_[id.index].generation;
  if ((user_data & cancel_bit) != 0) {
    // Completions are in order, so an operation that the kernel did not find but that has not ended either was just
    // then being retried: ask again. Not where it has its result and only its memory is still in use: nothing ends
    // that, and to ask for it would spin until the peer has acknowledged.
    if (PLANT(ring_cancel_not_repeated)) return;
    const bool ends_anyway = slots_[id.index].has_result && !PLANT(ring_cancel_of_result);
    if (result == -ENOENT && is_submitted(id) && !ends_anyway) submit_cancel(id);
    return;
  }
  TWINWIRE_CHECK(is_submitted(id), "the kernel completed an operation that was not in flight");
  Slot& slot = slots_[id.index];
  const bool last = (flags & IORING_CQE_F_MORE) == 0;
  CompletionHandler* const handler = slot.handler;
  Descriptor& target = *slot.target;
  if (handler == nullptr) {
    // Of a zero-copy send the last says only that its memory is free; the result came before.
    if (!slot.has_result || PLANT(ring_notification_is_result))
      slot.completion = {result, flags, Wake::ready};
    slot.has_result = true;
    if (!last && PLANT(ring_memory_freed_before_notification)) {
      slot.handler = &nobody;
      (void)scheduler_->wake(*slot.fiber);
      return;
    }
    if (!last) return;  // everything stays reserved
    slot.state = State::terminal;
    (void)scheduler_->wake(*slot.fiber);
    result = slot.completion.result;
  } else if (!last) {
    ++counters_->multishot_completions;
    return handler->on_completion(result, flags, false);
  } else {
    release(id.index);  // the handler may start the next
  }
  --in_flight_;
  if (handler != nullptr) handler->on_completion(result, flags, true);
  target.operation_ended(
      result);  // may close and delete it: nothing of the operation needs it any more
}

}  // namespace twinwire::real
