// SPDX-License-Identifier: Apache-2.0
// Scope (a nursery): owns fibers. Whoever opens a scope joins it before it ends, so no fiber outlives what it uses.
//
//   run_scope(scheduler, [&](Scope& scope) {
//     scope.spawn("reader", [&] { ... });
//     scope.spawn("writer", [&] { ... });
//   });                                   // both have ended here; an exception of either is rethrown
#pragma once

#include <cstddef>
#include <exception>
#include <string_view>
#include <utility>

#include "transport/base/check.h"
#include "transport/fiber/scheduler.h"
#include "transport/fiber/wait_queue.h"

namespace twinwire {

class Scope {
 public:
  // Inside a fiber: a child of it. Outside: a root of the scheduler.
  explicit Scope(Scheduler& scheduler) noexcept;
  // One that belongs to no fiber, whoever makes it, and is named by `entity`: for what outlives its maker.
  Scope(Scheduler& scheduler, EntityId entity) noexcept : scheduler_(&scheduler), entity_(entity) {}
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  // Aborts if a fiber is alive: a destructor must not suspend, so join() comes first.
  ~Scope();

  // Starts a fiber that runs `function()`. It becomes ready; the caller goes on. An exception that leaves it cancels
  // its siblings and is rethrown by join(). `name` is cut at 39 characters.
  // Errors     no_resources (no stack)
  template <class F>
  Result<FiberHandle> try_spawn(std::string_view name, F&& function) {
    Fiber* fiber =
        scheduler_->create(name, child_entity(entity_, spawned_), std::forward<F>(function));
    if (fiber == nullptr) return Errc::no_resources;
    ++spawned_;
    adopt(*fiber);
    return FiberHandle(fiber);
  }
  // The same where running out of stacks is a bug.
  template <class F>
  FiberHandle spawn(std::string_view name, F&& function) {
    auto handle = try_spawn(name, std::forward<F>(function));
    TWINWIRE_CHECK(handle.has_value(), "no stack for a fiber");
    return *handle;
  }

  // Tells every child, present and future, to stop.
  void cancel() noexcept;

  // Waits until every child has ended, then rethrows the first exception that left one. If the joining fiber is
  // canceled, so are the children, and join still waits for them.
  void join();

  std::size_t live() const noexcept { return live_; }
  Scheduler& scheduler() noexcept { return *scheduler_; }
  EntityId entity() const noexcept { return entity_; }

  // For a root scope, after Scheduler::run(): rethrows what a child threw.
  void rethrow_failure();

 private:
  friend class Scheduler;
  void adopt(Fiber& fiber) noexcept;
  void child_ended(Fiber& fiber, std::exception_ptr failure) noexcept;

  Scheduler* scheduler_;
  EntityId entity_;
  Fiber* first_ = nullptr;
  std::size_t live_ = 0;
  std::uint64_t spawned_ = 0;
  bool canceled_ = false;
  std::exception_ptr failure_;
  WaitQueue joiners_;
};

// Runs body(scope) and joins the scope, also where the body throws: then the children are canceled first.
template <class F>
void run_scope(Scheduler& scheduler, F&& body) {
  Scope scope(scheduler);
  std::exception_ptr failure;
  try {
    body(scope);
  } catch (...) {
    failure =
        std::current_exception();  // joining suspends, and nothing may suspend inside a catch block
  }
  if (failure) {
    scope.cancel();
    try {
      scope.join();
    } catch (...) {  // the body's own exception is the one to report
    }
    std::rethrow_exception(failure);
  }
  scope.join();
}

}  // namespace twinwire
