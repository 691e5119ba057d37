// SPDX-License-Identifier: Apache-2.0
// Suspensions: where fibers of a world wait, and the fault that ends such a wait with a cancellation (Site::cancel).
//
// A suspension is named by its fiber and how often that had been woken. So a run can be made to list its suspensions,
// and be made again with one of them canceled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "transport/base/time_heap.h"
#include "transport/fiber/scheduler.h"

namespace twinwire::sim {

class World;

// Told of what a run could be disturbed at. For whoever disturbs it there, one after another.
class Watcher {
 public:
  // `fiber` is parked: at (fiber.entity, fiber.wakes), waiting for fiber.waiting_for.
  virtual void on_suspended(const Fiber& fiber, TimePoint now) = 0;
  // It goes on; from where it was parked, or where it gave way to others.
  virtual void on_resumed(const Fiber& fiber, TimePoint now) = 0;
  // The nth allocation of the run; `fiber`: who wants it, or nullptr.
  virtual void on_allocation(const Fiber* fiber, std::uint64_t nth, std::size_t bytes) = 0;

 protected:
  ~Watcher() = default;
};

class Suspensions {
 public:
  // Choices of Site::cancel. From `at_once` on: so many ns after the fiber has suspended, before whatever else happens
  // at that instant; unless it has gone on by then.
  static constexpr std::uint64_t as_it_goes_on =
      1;  // it is told to stop, and what it waited for has come as well
  static constexpr std::uint64_t at_once = 2;

  explicit Suspensions(World& world) noexcept : world_(&world) {}
  Suspensions(const Suspensions&) = delete;
  Suspensions& operator=(const Suspensions&) = delete;

  // A fiber is about to run: whoever ran before it has suspended, ended or given way.
  void before_run(const Fiber& fiber);
  // The same where nobody runs next. True if somebody has become ready by it.
  bool settle();

  // The next cancellation that is due later than its suspension.
  TimePoint earliest() const noexcept { return due_.earliest(); }
  void fire(TimePoint now);

 private:
  struct Due : TimedNode {
    FiberHandle fiber;
    std::uint64_t wakes = 0;
  };
  bool suspended(Fiber& fiber);
  void cancel(Fiber& fiber, const char* when);

  World* world_;
  FiberHandle last_;                    // who ran last
  std::vector<FiberHandle> on_resume_;  // to be told as they go on
  std::deque<Due> later_;
  TimeHeap due_;
};

}  // namespace twinwire::sim
