// SPDX-License-Identifier: Apache-2.0
// Fiber: the control block of a stackful fiber. It lies on the fiber's own stack; users hold a FiberHandle.
//
// Start reading at scheduler.h (who runs when) and scope.h (who owns whom).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "transport/base/mix.h"
#include "transport/base/time_heap.h"
#include "transport/fiber/fiber_group.h"
#include "transport/fiber/stack_pool.h"

namespace twinwire {

class Scheduler;
class Scope;

// Why a parked fiber goes on.
enum class Wake : std::uint8_t { ready, timed_out, canceled };

// Its TimedNode is the one timer of the fiber, re-armed lazily: it stays queued when a wait ends early.
//
// What every wait and wake touches comes first, in two lines of the cache: where thousands of fibers take turns, each
// line is a miss.
struct alignas(64) Fiber : TimedNode {
  enum class State : std::uint8_t { ready, running, parked, done };

  State state = State::ready;
  Wake reason = Wake::ready;
  bool cancel_requested = false;
  std::uint16_t shields = 0;  // > 0: cancellation waits
  FiberGroup* group = nullptr;
  Fiber* next_ready = nullptr;
  void* context = nullptr;  // of Boost.Context
  std::uint64_t wakes = 0;

  void* exception_globals[2] = {};  // __cxa_eh_globals: Boost before 1.88 does not save them
  // While parked.
  Deadline deadline;
  const char* waiting_for = "";
  TimePoint parked_since;

  // What the World names and orders it by.
  EntityId entity = 0;
  std::uint64_t children = 0;  // ordinals given to what this fiber creates
  std::uint64_t serial = 0;    // unique in its scheduler; a FiberHandle outlives the fiber by it
  std::uint64_t priority = 0;
  bool priority_drawn = false;
  std::uint64_t ready_order = 0;

  // All fibers of the scheduler; all children of the scope.
  Fiber* next_live = nullptr;
  Fiber* previous_live = nullptr;
  Fiber* next_sibling = nullptr;
  Fiber* previous_sibling = nullptr;
  Scope* scope = nullptr;
  Scheduler* scheduler = nullptr;

  // The machine's side of it.
  void* sanitizer_fiber = nullptr;  // TSan
  Stack stack;
  void (*body)(void* callable) = nullptr;  // runs and destroys the callable
  void* callable = nullptr;

  std::array<char, 40> name_text{};
  std::string_view name() const noexcept { return name_text.data(); }
};

// Refers to a fiber that may have ended. Valid as long as the scheduler's stack pool is.
class FiberHandle {
 public:
  FiberHandle() noexcept = default;
  explicit FiberHandle(Fiber* fiber) noexcept : fiber_(fiber), serial_(fiber->serial) {}
  // The fiber, or nullptr once it has ended.
  Fiber* get() const noexcept {
    return fiber_ != nullptr && fiber_->serial == serial_ && fiber_->state != Fiber::State::done
               ? fiber_
               : nullptr;
  }

 private:
  Fiber* fiber_ = nullptr;
  std::uint64_t serial_ = 0;
};

}  // namespace twinwire
