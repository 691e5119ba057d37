// SPDX-License-Identifier: Apache-2.0
#include "sim/suspensions.h"

#include <algorithm>
#include <string>

#include "sim/world.h"

namespace twinwire::sim {

void Suspensions::before_run(const Fiber& fiber) {
  settle();
  auto& next = const_cast<Fiber&>(fiber);
  if (Watcher* watcher = world_->options().watcher) watcher->on_resumed(fiber, world_->now());
  const auto told = std::find_if(on_resume_.begin(), on_resume_.end(),
                                 [&](const FiberHandle& one) { return one.get() == &next; });
  if (told != on_resume_.end()) {
    on_resume_.erase(told);
    cancel(next, "as it goes on");
  }
  last_ = FiberHandle(&next);
}

bool Suspensions::settle() {
  Fiber* fiber = last_.get();
  last_ = {};
  return fiber != nullptr && fiber->state == Fiber::State::parked && suspended(*fiber);
}

bool Suspensions::suspended(Fiber& fiber) {
  if (Watcher* watcher = world_->options().watcher) watcher->on_suspended(fiber, world_->now());
  if (!world_->may_strike(Site::cancel)) return false;
  const std::uint64_t choice = world_->choose(Site::cancel, {}, fiber.entity, fiber.wakes);
  if (choice == 0) return false;
  if (choice == as_it_goes_on) {
    on_resume_.emplace_back(&fiber);
    return false;
  }
  if (choice == at_once) {
    cancel(fiber, "at once");
    return fiber.state != Fiber::State::parked;
  }
  Due& due = later_.emplace_back();
  due.fiber = FiberHandle(&fiber);
  due.wakes = fiber.wakes;
  due_.set(due, world_->now() + Duration(static_cast<std::int64_t>(choice - at_once)));
  return false;
}

void Suspensions::fire(TimePoint now) {
  while (!due_.empty() && due_.earliest() <= now) {
    auto& due = static_cast<Due&>(*due_.top());
    due_.remove(due);
    Fiber* fiber = due.fiber.get();
    if (fiber != nullptr && fiber->state == Fiber::State::parked && fiber->wakes == due.wakes)
      cancel(*fiber, "while it waits");
  }
}

void Suspensions::cancel(Fiber& fiber, const char* when) {
  if (!fiber.cancel_requested) world_->decisions().bit(Site::cancel);
  if (world_->tracing())
    world_->tell(fiber.name(), "is told to stop, " + std::string(when) + ": it waits for " +
                                   std::string(fiber.waiting_for));
  world_->scheduler().cancel(fiber);
}

}  // namespace twinwire::sim
