// SPDX-License-Identifier: Apache-2.0
#include "transport/shared/send_queue.h"

#include <algorithm>
#include <utility>
#ifdef TWINWIRE_PLANTS
#include <vector>
#endif

#include "transport/base/check.h"
#include "transport/base/plant.h"

namespace twinwire {
namespace {

#ifdef TWINWIRE_PLANTS
// PLANT(shared_withdrawn_is_sent): what is sent with the next batch. Not a member: tests see the class without it.
struct Withdrawn {
  const void* queue;
  Message message;
};
std::vector<Withdrawn> withdrawn;

void keep_withdrawn(const void* queue, const Message& message) {
  if (PLANT(shared_withdrawn_is_sent)) withdrawn.push_back({queue, message});
}
void forget_withdrawn(const void* queue) {
  std::erase_if(withdrawn, [&](const Withdrawn& w) { return w.queue == queue; });
}
void send_withdrawn(const void* queue, Batch& batch) {
  for (const Withdrawn& w : withdrawn)
    if (w.queue == queue) batch.push(w.message);
  forget_withdrawn(queue);
}
#else
void keep_withdrawn(const void*, const Message&) {}
void forget_withdrawn(const void*) {}
void send_withdrawn(const void*, Batch&) {}
#endif

}  // namespace

SendQueue::SendQueue(Scheduler& scheduler, const SharedWriterOptions& options, void* writer,
                     SendBatch send_batch)
    : scheduler_(&scheduler), options_(options), writer_(writer), send_batch_(send_batch) {
  TWINWIRE_CHECK(options.batch_max >= 1 && options.batch_max <= batch_messages_max,
                 "a shared writer's batches have 1 to 512 messages");
}

SendQueue::~SendQueue() {
  TWINWIRE_CHECK(!led_, "a shared writer was destroyed while a fiber was inside it");
  forget_withdrawn(this);
}

// --- The queue -----------------------------------------------------------------------------------------------------

void SendQueue::append(Sender& sender) noexcept {
  if (PLANT(shared_newest_first) && first_ != last_) {
    sender.previous = first_;
    sender.next = std::exchange(first_->next, &sender);
    sender.next->previous = &sender;
    return;
  }
  sender.previous = last_;
  (last_ != nullptr ? last_->next : first_) = &sender;
  last_ = &sender;
}

void SendQueue::unlink(Sender& sender) noexcept {
  (sender.previous != nullptr ? sender.previous->next : first_) = sender.next;
  (sender.next != nullptr ? sender.next->previous : last_) = sender.previous;
}

// The message was not handed over, and never will be.
Result<void> SendQueue::withdraw(Sender& sender, Errc why) noexcept {
  keep_withdrawn(this, *sender.message);
  unlink(sender);
  return why;
}

void SendQueue::pass_on() noexcept {
  if (first_ != nullptr) {
    first_->state = State::leads;
    scheduler_->wake(*first_->fiber);  // where it was woken before, it finds itself leading
    return;
  }
  led_ = false;
  idle_.wake_all(*scheduler_);
}

void SendQueue::fail_queue() noexcept {
  while (first_ != nullptr) {
    Sender& sender = *first_;
    unlink(sender);
    if (PLANT(shared_queue_not_told)) {
      sender.previous = sender.next = nullptr;
      continue;
    }
    sender.state = State::failed;
    scheduler_->wake(*sender.fiber);
  }
}

// PLANT(shared_lost_beyond_limit), PLANT(shared_close_forgets_queue): told success, and never sent.
void SendQueue::lose_queue() noexcept {
  for (Sender* next = first_; next != nullptr;) {
    Sender& sender = *std::exchange(next, next->next);
    if (sender.state != State::queued) continue;
    unlink(sender);
    *sender.message = Message();
    sender.state = State::sent;
    scheduler_->wake(*sender.fiber);
  }
}

// --- A sender ------------------------------------------------------------------------------------------------------

Result<void> SendQueue::send(Message& message, Deadline deadline) {
  TWINWIRE_CHECK(!message.empty(), "there is no message to send");
  if (failure_) return *failure_;
  if (finishing_) return Errc::closed;
  if (const auto refused = scheduler_->refuses(deadline)) return *refused;

  Sender me{&message, &scheduler_->current()};
  append(me);
  Wake wake = Wake::ready;
  if (!led_) {
    led_ = true;
    me.state = State::leads;
    // Whoever is ready to send as well joins the batch.
    scheduler_->yield();
  } else {
    if (PLANT(shared_success_when_queued)) {
      unlink(me);
      Message lost = std::move(message);
      return {};
    }
    await_turn(me, deadline, wake);
  }
  switch (me.state) {
    case State::sent: return {};
    case State::failed: return *failure_;
    case State::leads: return lead(me, deadline, wake);
    default: return withdraw(me, to_errc(wake));
  }
}

// Until it leads, was told how its batch went, or has given up while it was queued.
void SendQueue::await_turn(Sender& me, Deadline deadline, Wake& wake) {
  while (me.state == State::queued && wake == Wake::ready)
    wake = scheduler_->park(deadline, "its turn in a shared writer");
  if (me.state != State::in_flight) return;
  // It may have left: only the flight's end tells.
  const CancelShield shield(*scheduler_);
  while (me.state == State::in_flight)
    (void)scheduler_->park(Deadline::never(), "its batch in a shared writer");
}

// --- The leader ----------------------------------------------------------------------------------------------------

Result<void> SendQueue::lead(Sender& me, Deadline deadline, Wake wake) {
  auto refused = scheduler_->refuses(deadline);
  if (wake != Wake::ready) refused = to_errc(wake);
  if (!refused) return fly(me);
  auto told = withdraw(me, *refused);
  pass_on();
  return told;
}

// The first of the queue become the batch. Returns them, still linked among each other; nullptr: there is no memory.
// Flat: a call for each message would cost as much as all the rest of it.
[[gnu::flatten]] SendQueue::Sender* SendQueue::take() noexcept {
  send_withdrawn(this, batch_);
  std::size_t bytes = 0;
  Sender* next = first_;
  for (; next != nullptr && batch_.size() < options_.batch_max; next = next->next) {
    if (bytes != 0 && bytes + next->message->size() > options_.batch_bytes_max) break;
    if (batch_.size() == batch_.capacity() &&
        !batch_.reserve(std::min(options_.batch_max, std::max<std::size_t>(16, 2 * batch_.size()))))
      break;
    bytes += next->message->size();
    batch_.push(std::move(*next->message));
    next->state = State::in_flight;
  }
  Sender* const flight = next != first_ ? first_ : nullptr;
  if (flight == nullptr) return nullptr;
  (next != nullptr ? next->previous->next : last_) = nullptr;
  if (next != nullptr) next->previous = nullptr;
  first_ = next;
  if (PLANT(shared_lost_beyond_limit)) lose_queue();
  return flight;
}

Result<void> SendQueue::fly(Sender& me) {
  Sender* const flight = take();
  if (flight == nullptr) {
    auto told = withdraw(me, Errc::no_resources);
    pass_on();
    return told;
  }
  const Deadline limit{scheduler_->now() + options_.flight_limit};
  // The batch is everybody's: that its leader is told to stop ends nothing.
  flying_ = me.fiber;
  may_be_stopped_ = PLANT(shared_leader_unshielded);
  if (!may_be_stopped_) ++me.fiber->shields;
  const Result<void> sent = send_batch_(writer_, batch_, limit);
  if (!may_be_stopped_) --me.fiber->shields;
  flying_ = nullptr;
  land(flight, me, sent);
  if (me.state == State::failed) return *failure_;
  return {};
}

void SendQueue::land(Sender* flight, Sender& me, const Result<void>& sent) noexcept {
  if (!sent && !failure_) {
    // What tells a sender that nothing was sent may not be told of what was, perhaps in part.
    const Error why = sent.error();
    const bool would_mislead =
        why == Errc::timed_out || why == Errc::canceled || why == Errc::no_resources;
    failure_ = would_mislead ? Error{Errc::broken, why.os_errno} : why;
  }
  std::size_t nth = 0;
  for (Sender* next = flight; next != nullptr;) {
    Sender& sender = *std::exchange(next, next->next);
    if (!sent) *sender.message = batch_[nth++];
    sender.state = sent ? State::sent : State::failed;
    if (PLANT(shared_others_told_success) && &sender != &me) sender.state = State::sent;
    if (PLANT(shared_last_not_woken) && next == nullptr && sender.fiber->shields == 0) break;
    if (&sender != &me) scheduler_->wake(*sender.fiber);
  }
  batch_.clear();
  if (failure_) fail_queue();
  pass_on();
}

// --- The end -------------------------------------------------------------------------------------------------------

Result<void> SendQueue::finish(Deadline deadline) {
  finishing_ = true;
  if (PLANT(shared_close_forgets_queue)) lose_queue();
  while (led_) {
    const Wake wake = idle_.wait(*scheduler_, deadline, "a shared writer to have sent all");
    if (wake == Wake::ready || !led_) continue;
    stop_flight();
    return to_errc(wake);
  }
  return {};
}

void SendQueue::stop_flight() noexcept {
  if (!failure_) failure_ = Error{Errc::broken, 0};
  fail_queue();
  if (flying_ == nullptr) led_ = false;  // who was to lead has failed with the others
  const CancelShield shield(*scheduler_);
  while (flying_ != nullptr) {
    if (!std::exchange(may_be_stopped_, true)) --flying_->shields;
    // It ends with its next wait that finds nothing to do: an interrupt may come together with room for a few bytes.
    scheduler_->interrupt(*flying_);
    if (flying_->state == Fiber::State::ready) {
      scheduler_->yield();
      continue;
    }
    // A wait that cannot be interrupted: what was begun is being taken back.
    (void)idle_.wait(*scheduler_, {scheduler_->now() + std::chrono::milliseconds(1)},
                     "a batch of a shared writer to be stopped");
  }
}

}  // namespace twinwire
