// SPDX-License-Identifier: Apache-2.0
// Scheduler: runs the fibers of one thread. Both worlds share it; only what happens when nothing can run differs, and
// that is the Host's part: the World advances its clock, the Ring enters the kernel.
//
// Where to read on: scope.h (spawn, join, cancel), wait_queue.h (how operations park), context_switch.h (the switch).
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "transport/base/check.h"
#include "transport/base/error.h"
#include "transport/base/sometimes_counts.h"
#include "transport/base/time_heap.h"
#include "transport/fiber/fiber.h"
#include "transport/fiber/stack_pool.h"

namespace twinwire {

// What a world supplies to its scheduler.
class Host {
 public:
  virtual TimePoint now() noexcept = 0;

  // Lets the outside act. `until`: the earliest timer (never() if there is none). `idle`: no fiber is ready, so the
  // host may wait until then. Returns false if nothing can ever happen again: idle, no timer, no event pending.
  virtual bool turn(TimePoint until, bool idle) = 0;

  // Among fibers ready at the same instant the lowest priority runs first, ties in order of waking. Asked only where
  // two or more are ready, and only of a host that orders wakes.
  virtual std::uint64_t wake_priority(EntityId /*fiber*/, std::uint64_t /*nth_wake*/) noexcept {
    return 0;
  }

  // Called before a fiber runs, of a host that asks for it.
  virtual void on_run(const Fiber& /*fiber*/) noexcept {}

 protected:
  ~Host() = default;
};

struct SchedulerOptions {
  bool orders_wakes = false;  // ask Host::wake_priority; otherwise first woken, first run
  bool tells_runs = false;    // call Host::on_run
  std::uint32_t runs_per_turn =
      256;  // fibers run before the host gets a turn while others are still ready
  EntityId root_entity = 0;
};

class Scheduler {
 public:
  Scheduler(Host& host, StackPool& stacks, const SchedulerOptions& options) noexcept;
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  // Aborts if a fiber is alive.
  ~Scheduler();

  enum class Outcome : std::uint8_t {
    finished,  // every fiber has ended
    stuck,     // fibers are parked, and no timer or event will ever wake one
    stopped,   // stop() was called
  };
  // Runs fibers until none can run any more. Not from inside a fiber.
  Outcome run();
  // Makes run() return after the current fiber suspends. The fibers stay; run() may be called again.
  void stop() noexcept { stop_requested_ = true; }

  // --- From inside a fiber ---------------------------------------------------------------------------------------

  bool in_fiber() const noexcept { return current_ != nullptr; }
  Fiber& current() noexcept {
    TWINWIRE_CHECK(current_ != nullptr, "this may be called only from inside a fiber");
    return *current_;
  }

  // Suspends the current fiber until wake(), the deadline or cancellation, whichever is first. Returns at once with
  // `canceled` or `timed_out` where that is already so. `waiting_for` is static text for the dump of stuck fibers.
  Wake park(Deadline deadline, const char* waiting_for);
  // Lets every fiber that is ready run first.
  void yield();
  // Errors     canceled
  Result<void> sleep_until(TimePoint at);
  Result<void> sleep_for(Duration d) { return sleep_until(now() + d); }
  // Whether the current fiber was told to stop and is not shielded.
  bool cancel_pending() const noexcept {
    return current_ != nullptr && current_->cancel_requested && current_->shields == 0;
  }

  // What an operation returns instead of starting, in both worlds alike: its fiber was told to stop, or its deadline
  // has passed. Not even what is ready is taken then.
  std::optional<Errc> refuses(Deadline deadline) noexcept {
    if (deadline == Deadline::never() && !cancel_pending()) [[likely]]
      return std::nullopt;
    return refuses(deadline, host_->now());
  }
  // The same for whoever knows the host's time already.
  std::optional<Errc> refuses(Deadline deadline, TimePoint time) noexcept {
    if (cancel_pending()) return Errc::canceled;
    if (deadline.at <= local(time)) return Errc::timed_out;
    return std::nullopt;
  }

  // Whether another fiber waits for its turn to run.
  bool others_ready() const noexcept { return any_ready(); }

  // --- From anywhere on the thread -------------------------------------------------------------------------------

  // Makes a parked fiber ready. False, and nothing done, if it is not parked (it was woken before).
  bool wake(Fiber& fiber, Wake reason = Wake::ready) noexcept;
  // Tells a fiber to stop: this and every later cancellable wait of it returns `canceled`, until it ends.
  // A fiber that has already been woken for another reason gets that result first (a cancel that races success).
  void cancel(Fiber& fiber) noexcept;
  void cancel(const FiberHandle& handle) noexcept {
    if (Fiber* fiber = handle.get()) cancel(*fiber);
  }

  // Ends the fiber's present wait with `canceled`, if it is in one that cancellation may end; its later waits are not
  // affected. For an operation that another one replaces.
  void interrupt(Fiber& fiber) noexcept {
    if (fiber.shields == 0) wake(fiber, Wake::canceled);
  }

  // A state that a suite of tests must reach now and then was reached. Counted where somebody counts.
  void reached(Sometimes state) noexcept {
    if (reached_ != nullptr) ++(*reached_)[static_cast<std::size_t>(state)];
  }
  // `counts` outlives what it is told of; nullptr: nobody counts.
  void count_reached(SometimesCounts* counts) noexcept { reached_ = counts; }

  // As the current fiber's clock has it.
  TimePoint now() noexcept { return local(host_->now()); }
  TimePoint local(TimePoint host) const noexcept {
    if (current_ == nullptr || current_->group == nullptr) [[likely]]
      return host;
    return current_->group->local(host);
  }
  std::size_t live() const noexcept { return live_count_; }
  std::uint64_t runs() const noexcept { return runs_; }          // how often a fiber was resumed
  std::uint64_t failures() const noexcept { return failures_; }  // fibers that an exception ended
  StackPool& stacks() noexcept { return *stacks_; }
  EntityId root_entity() const noexcept { return options_.root_entity; }
  // Calls f(const Fiber&) for each live fiber, oldest first.
  template <class F>
  void for_each_fiber(F&& f) const {
    for (const Fiber* fiber = live_first_; fiber != nullptr; fiber = fiber->next_live) f(*fiber);
  }
  // Tells every fiber to stop: how a world that is stuck, or over, unwinds.
  void cancel_all() noexcept;

  // Nobody of the group runs from now on, but for whoever does; who is woken meanwhile waits. Requires orders_wakes.
  void hold(FiberGroup& group) noexcept;
  // Those that were woken meanwhile are ready now, all at once.
  void release(FiberGroup& group) noexcept;

 private:
  friend class Scope;

  // Makes a fiber that runs body(callable); the callable lies on its stack. nullptr: no stack, or no memory.
  // Throws what the callable's constructor throws.
  template <class F>
  Fiber* create(std::string_view name, EntityId entity, F&& function);
  // The control block stands at the same place whenever a stack is used again, so that a FiberHandle to an ended fiber
  // always finds a control block there, and never what a later fiber has on its stack.
  Fiber* place_of(const Stack& stack) const noexcept;
  // `callable`: where the callable lies, below the control block; the stack begins there.
  Fiber* create_on(Stack stack, std::byte* callable, std::string_view name,
                   EntityId entity) noexcept;
  // Room in the timers and the ready heap for one fiber more, so that neither a wait nor a wake allocates.
  bool make_room() noexcept;
  void start(Fiber& fiber) noexcept;  // links it in and makes it ready

  void push_ready(Fiber& fiber) noexcept;
  void keep_back(Fiber& fiber) noexcept;
  Fiber* pop_ready() noexcept;
  bool any_ready() const noexcept { return fifo_first_ != nullptr || !heap_.empty(); }
  static bool runs_before(const Fiber* a, const Fiber* b) noexcept;
  void draw_priority(Fiber& fiber) noexcept;

  void resume(Fiber& fiber);
  void suspend(Fiber& fiber);
  void finish(Fiber& fiber) noexcept;
  void fire_timers();
  static void fiber_main(Fiber& fiber) noexcept;
  friend struct FiberEntry;

  Host* host_;
  StackPool* stacks_;
  SchedulerOptions options_;
  SometimesCounts* reached_ = nullptr;
  Fiber* current_ = nullptr;
  bool stop_requested_ = false;

  Fiber* fifo_first_ = nullptr;
  Fiber* fifo_last_ = nullptr;
  std::vector<Fiber*> heap_;  // of ready fibers, where the host orders wakes
  std::uint64_t ready_order_ = 0;

  TimeHeap timers_;
  Fiber* live_first_ = nullptr;
  Fiber* live_last_ = nullptr;
  std::size_t live_count_ = 0;
  std::uint64_t serials_ = 0;
  std::uint64_t runs_ = 0;
  std::uint64_t failures_ = 0;
  std::uint64_t root_scopes_ = 0;

  // The run loop's own side of a switch.
  void* loop_context_ = nullptr;
  void* loop_exception_globals_[2] = {};
  void** thread_exception_globals_ = nullptr;
  void* loop_sanitizer_fiber_ = nullptr;
  const void* loop_stack_bottom_ = nullptr;
  std::size_t loop_stack_size_ = 0;
};

// While alive, the current fiber's waits do not obey cancellation: for clean-up that must finish.
class CancelShield {
 public:
  explicit CancelShield(Scheduler& scheduler) noexcept : fiber_(&scheduler.current()) {
    ++fiber_->shields;
  }
  CancelShield(const CancelShield&) = delete;
  CancelShield& operator=(const CancelShield&) = delete;
  ~CancelShield() { --fiber_->shields; }

 private:
  Fiber* fiber_;
};

// A wait's end as an error; only for timed_out and canceled.
constexpr Errc to_errc(Wake wake) noexcept {
  return wake == Wake::canceled ? Errc::canceled : Errc::timed_out;
}

template <class F>
Fiber* Scheduler::create(std::string_view name, EntityId entity, F&& function) {
  using Callable = std::decay_t<F>;
  static_assert(alignof(Callable) <= 64 && sizeof(Callable) <= 4096,
                "a fiber's callable lies on its stack: capture large things by reference");
  if (!make_room()) return nullptr;
  const Stack stack = stacks_->allocate();
  if (stack.base == nullptr) return nullptr;
  std::byte* place =
      reinterpret_cast<std::byte*>(place_of(stack)) - (sizeof(Callable) + 63) / 64 * 64;
  Callable* callable = nullptr;
  try {
    callable = new (place) Callable(std::forward<F>(function));
  } catch (...) {
    stacks_->release(stack);
    throw;
  }
  Fiber* fiber = create_on(stack, place, name, entity);
  fiber->callable = callable;
  fiber->body = [](void* raw) {
    auto* f = static_cast<Callable*>(raw);
    struct Destroy {
      Callable* f;
      ~Destroy() { f->~Callable(); }
    } destroy{f};
    (*f)();
  };
  return fiber;
}

}  // namespace twinwire
