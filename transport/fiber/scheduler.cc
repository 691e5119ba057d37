// SPDX-License-Identifier: Apache-2.0
#include "transport/fiber/scheduler.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "transport/base/check.h"
#include "transport/fiber/context_switch.h"
#include "transport/fiber/scope.h"

namespace twinwire {

namespace fctx = boost::context::detail;

Scheduler::Scheduler(Host& host, StackPool& stacks, const SchedulerOptions& options) noexcept
    : host_(&host), stacks_(&stacks), options_(options) {}

Scheduler::~Scheduler() {
  TWINWIRE_CHECK(live_count_ == 0, "a scheduler was destroyed while a fiber was alive");
}

// --- The switch ----------------------------------------------------------------------------------------------------

struct FiberEntry {
  // First code on a new stack. Boost.Context hands over where it came from and our argument.
  // Not instrumented for ASan: this frame never returns, so the marks around its variables would stay and lie under the
  // callable of the next fiber on this stack, where that is larger.
  [[gnu::no_sanitize_address]] static void enter(fctx::transfer_t transfer) {
    auto& fiber = *static_cast<Fiber*>(transfer.data);
    Scheduler& scheduler = *fiber.scheduler;
    scheduler.loop_context_ = transfer.fctx;
#ifdef TWINWIRE_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &scheduler.loop_stack_bottom_,
                                    &scheduler.loop_stack_size_);
#endif
    Scheduler::fiber_main(fiber);
#ifdef TWINWIRE_ASAN
    // nullptr: this stack's fake frames are gone for good.
    __sanitizer_start_switch_fiber(nullptr, scheduler.loop_stack_bottom_,
                                   scheduler.loop_stack_size_);
#endif
#ifdef TWINWIRE_TSAN
    __tsan_switch_to_fiber(scheduler.loop_sanitizer_fiber_, 0);
#endif
    fctx::jump_fcontext(scheduler.loop_context_, nullptr);
    __builtin_unreachable();
  }
};

void Scheduler::fiber_main(Fiber& fiber) noexcept {
  Scope& scope = *fiber.scope;
  // The exception leaves the catch block before anything else runs: nothing may suspend inside it.
  std::exception_ptr failure;
  try {
    fiber.body(fiber.callable);
  } catch (...) {
    failure = std::current_exception();
    ++fiber.scheduler->failures_;
  }
  fiber.state = Fiber::State::done;
  scope.child_ended(fiber, std::move(failure));
}

void Scheduler::resume(Fiber& fiber) {
  current_ = &fiber;
  fiber.state = Fiber::State::running;
  ++runs_;
  if (options_.tells_runs) host_->on_run(fiber);
#if TWINWIRE_SAVES_EXCEPTION_GLOBALS
  std::memcpy(loop_exception_globals_, thread_exception_globals_, sizeof loop_exception_globals_);
  std::memcpy(thread_exception_globals_, fiber.exception_globals, sizeof fiber.exception_globals);
#endif
#ifdef TWINWIRE_ASAN
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, fiber.stack.base + StackPool::guard_size,
                                 stacks_->slot_size() - StackPool::guard_size);
#endif
#ifdef TWINWIRE_TSAN
  __tsan_switch_to_fiber(fiber.sanitizer_fiber, 0);
#endif
  fiber.context = fctx::jump_fcontext(fiber.context, &fiber).fctx;
#ifdef TWINWIRE_ASAN
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
#if TWINWIRE_SAVES_EXCEPTION_GLOBALS
  std::memcpy(fiber.exception_globals, thread_exception_globals_, sizeof fiber.exception_globals);
  std::memcpy(thread_exception_globals_, loop_exception_globals_, sizeof loop_exception_globals_);
#endif
  current_ = nullptr;
  if (fiber.state == Fiber::State::done) finish(fiber);
}

// Into its callers: each frame less is a line of the cache less that a switch brings in.
[[gnu::always_inline]] inline void Scheduler::suspend(Fiber& fiber) {
#ifdef TWINWIRE_ASAN
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, loop_stack_bottom_, loop_stack_size_);
#endif
#ifdef TWINWIRE_TSAN
  __tsan_switch_to_fiber(loop_sanitizer_fiber_, 0);
#endif
  loop_context_ = fctx::jump_fcontext(loop_context_, &fiber).fctx;
#ifdef TWINWIRE_ASAN
  __sanitizer_finish_switch_fiber(fake_stack, &loop_stack_bottom_, &loop_stack_size_);
#endif
}

// --- Birth and death -----------------------------------------------------------------------------------------------

bool Scheduler::make_room() noexcept {
  const std::size_t fibers = live_count_ + 1;
  try {
    timers_.reserve(fibers);
    if (options_.orders_wakes && fibers > heap_.capacity()) heap_.reserve(2 * fibers);
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

Fiber* Scheduler::place_of(const Stack& stack) const noexcept {
  return reinterpret_cast<Fiber*>(stacks_->top(stack) - (sizeof(Fiber) + 63) / 64 * 64);
}

Fiber* Scheduler::create_on(Stack stack, std::byte* callable, std::string_view name,
                            EntityId entity) noexcept {
  Fiber* fiber = new (place_of(stack)) Fiber;
  fiber->entity = entity;
  fiber->serial = ++serials_;
  fiber->scheduler = this;
  if (current_ != nullptr) fiber->group = current_->group;
  fiber->stack = stack;
  const std::size_t length = std::min(name.size(), fiber->name_text.size() - 1);
  std::memcpy(fiber->name_text.data(), name.data(), length);
  StackLabel& label = *stacks_->label(stack);
  label.fiber = fiber;
  label.name = fiber->name_text.data();
  label.state = reinterpret_cast<const std::uint8_t*>(&fiber->state);
  label.waiting_for = &fiber->waiting_for;
  label.context = &fiber->context;
  const auto room = static_cast<std::size_t>(callable - stack.base) - StackPool::guard_size;
  fiber->context = fctx::make_fcontext(callable, room, &FiberEntry::enter);
#ifdef TWINWIRE_TSAN
  fiber->sanitizer_fiber = __tsan_create_fiber(0);
#endif
  return fiber;
}

void Scheduler::start(Fiber& fiber) noexcept {
  fiber.previous_live = live_last_;
  (live_last_ != nullptr ? live_last_->next_live : live_first_) = &fiber;
  live_last_ = &fiber;
  ++live_count_;
  push_ready(fiber);
}

void Scheduler::finish(Fiber& fiber) noexcept {
  timers_.remove(fiber);
  (fiber.previous_live != nullptr ? fiber.previous_live->next_live : live_first_) = fiber.next_live;
  (fiber.next_live != nullptr ? fiber.next_live->previous_live : live_last_) = fiber.previous_live;
  --live_count_;
#ifdef TWINWIRE_TSAN
  __tsan_destroy_fiber(fiber.sanitizer_fiber);
#endif
  stacks_->release(fiber.stack);
}

// --- Who runs next -------------------------------------------------------------------------------------------------

bool Scheduler::runs_before(const Fiber* a, const Fiber* b) noexcept {
  return a->priority != b->priority ? a->priority < b->priority : a->ready_order < b->ready_order;
}

void Scheduler::draw_priority(Fiber& fiber) noexcept {
  if (fiber.priority_drawn) return;
  fiber.priority = host_->wake_priority(fiber.entity, fiber.wakes);
  fiber.priority_drawn = true;
}

void Scheduler::push_ready(Fiber& fiber) noexcept {
  fiber.state = Fiber::State::ready;
  if (fiber.group != nullptr && fiber.group->held) [[unlikely]]
    return keep_back(fiber);
  ++fiber.wakes;
  if (!options_.orders_wakes) {
    fiber.next_ready = nullptr;
    (fifo_last_ != nullptr ? fifo_last_->next_ready : fifo_first_) = &fiber;
    fifo_last_ = &fiber;
    return;
  }
  fiber.priority = 0;
  fiber.priority_drawn = false;
  fiber.ready_order = ++ready_order_;
  // Draws are keyed, not streamed, so a priority that decides nothing need not be drawn.
  if (heap_.empty()) return heap_.push_back(&fiber);
  if (heap_.size() == 1) draw_priority(*heap_.front());
  draw_priority(fiber);
  heap_.push_back(&fiber);
  std::push_heap(heap_.begin(), heap_.end(),
                 [](const Fiber* a, const Fiber* b) { return runs_before(b, a); });
}

void Scheduler::keep_back(Fiber& fiber) noexcept {
  FiberGroup& group = *fiber.group;
  fiber.next_ready = nullptr;
  (group.last_held != nullptr ? group.last_held->next_ready : group.first_held) = &fiber;
  group.last_held = &fiber;
  ++group.held_count;
}

void Scheduler::hold(FiberGroup& group) noexcept {
  TWINWIRE_CHECK(options_.orders_wakes, "only a host that orders wakes may hold fibers");
  group.held = true;
  // Those that are ready already, in the order in which they were woken.
  const auto of_group = std::partition(heap_.begin(), heap_.end(),
                                       [&](const Fiber* f) { return f->group != &group; });
  std::sort(of_group, heap_.end(),
            [](const Fiber* a, const Fiber* b) { return a->ready_order < b->ready_order; });
  for (auto at = of_group; at != heap_.end(); ++at) keep_back(**at);
  heap_.erase(of_group, heap_.end());
  std::make_heap(heap_.begin(), heap_.end(),
                 [](const Fiber* a, const Fiber* b) { return runs_before(b, a); });
}

void Scheduler::release(FiberGroup& group) noexcept {
  group.held = false;
  group.held_count = 0;
  Fiber* next = std::exchange(group.first_held, nullptr);
  group.last_held = nullptr;
  while (next != nullptr) {
    Fiber* const fiber = next;
    next = fiber->next_ready;
    push_ready(*fiber);
  }
}

Fiber* Scheduler::pop_ready() noexcept {
  if (!options_.orders_wakes) {
    Fiber* fiber = fifo_first_;
    fifo_first_ = fiber->next_ready;
    if (fifo_first_ == nullptr) {
      fifo_last_ = nullptr;
    } else {
      // Where many are ready, what the next one needs first is on its way while this one runs: measured, a sixth of the
      // time outside the kernel with 64 connections.
      const auto* stack = static_cast<const std::byte*>(fifo_first_->context);
      __builtin_prefetch(stack);
      __builtin_prefetch(stack + 64);
      __builtin_prefetch(stack + 128);
      __builtin_prefetch(stack + 192);
      if (fifo_first_->next_ready != nullptr) __builtin_prefetch(fifo_first_->next_ready);
    }
    return fiber;
  }
  if (heap_.size() > 1)
    std::pop_heap(heap_.begin(), heap_.end(),
                  [](const Fiber* a, const Fiber* b) { return runs_before(b, a); });
  Fiber* fiber = heap_.back();
  heap_.pop_back();
  return fiber;
}

Scheduler::Outcome Scheduler::run() {
  TWINWIRE_CHECK(current_ == nullptr, "run() must not be called from inside a fiber");
  thread_exception_globals_ = reinterpret_cast<void**>(abi::__cxa_get_globals());
#ifdef TWINWIRE_TSAN
  loop_sanitizer_fiber_ = __tsan_get_current_fiber();
#endif
  stop_requested_ = false;
  for (;;) {
    for (std::uint32_t n = 0; n < options_.runs_per_turn && any_ready(); ++n) {
      resume(*pop_ready());
      if (stop_requested_) return Outcome::stopped;
    }
    if (live_count_ == 0) return Outcome::finished;
    const bool idle = !any_ready();
    if (!host_->turn(timers_.earliest(), idle)) return Outcome::stuck;
    if (timers_.earliest() <= host_->now()) fire_timers();
    if (stop_requested_) return Outcome::stopped;
  }
}

// --- Waiting and waking --------------------------------------------------------------------------------------------

void Scheduler::fire_timers() {
  const TimePoint time = host_->now();
  while (!timers_.empty() && timers_.earliest() <= time) {
    auto& fiber = static_cast<Fiber&>(*timers_.top());
    const bool waits = fiber.state == Fiber::State::parked && fiber.deadline != Deadline::never();
    if (waits && fiber.deadline.at > time) {
      timers_.set(fiber,
                  fiber.deadline.at);  // re-armed: an earlier wait of it ended before its deadline
      continue;
    }
    timers_.remove(fiber);
    if (waits) wake(fiber, Wake::timed_out);
  }
}

Wake Scheduler::park(Deadline deadline, const char* waiting_for) {
  Fiber& fiber = current();
  if (cancel_pending()) return Wake::canceled;
  if (fiber.group != nullptr) [[unlikely]]
    deadline = {fiber.group->host(deadline.at)};
  if (deadline != Deadline::never()) {
    if (deadline.at <= host_->now()) return Wake::timed_out;
    if (!fiber.queued() || deadline.at < fiber.due) timers_.set(fiber, deadline.at);
  }
  fiber.deadline = deadline;
  fiber.waiting_for = waiting_for;
  fiber.parked_since = host_->now();
  fiber.state = Fiber::State::parked;
  suspend(fiber);
  return fiber.reason;
}

void Scheduler::yield() {
  Fiber& fiber = current();
  push_ready(fiber);
  suspend(fiber);
}

Result<void> Scheduler::sleep_until(TimePoint at) {
  if (park({at}, "sleep") == Wake::canceled) return Errc::canceled;
  return {};
}

bool Scheduler::wake(Fiber& fiber, Wake reason) noexcept {
  if (fiber.state != Fiber::State::parked) return false;
  fiber.reason = reason;
  push_ready(fiber);
  return true;
}

void Scheduler::cancel(Fiber& fiber) noexcept {
  fiber.cancel_requested = true;
  if (fiber.shields == 0) wake(fiber, Wake::canceled);
}

void Scheduler::cancel_all() noexcept {
  for (Fiber* fiber = live_first_; fiber != nullptr; fiber = fiber->next_live) cancel(*fiber);
}

}  // namespace twinwire
