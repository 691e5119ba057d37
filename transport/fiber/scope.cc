// SPDX-License-Identifier: Apache-2.0
#include "transport/fiber/scope.h"

namespace twinwire {

Scope::Scope(Scheduler& scheduler) noexcept
    : scheduler_(&scheduler),
      entity_(scheduler.in_fiber()
                  ? child_entity(scheduler.current().entity, scheduler.current().children++)
                  : child_entity(scheduler.root_entity(), scheduler.root_scopes_++)) {}

Scope::~Scope() {
  TWINWIRE_CHECK(live_ == 0, "a scope was destroyed before its fibers were joined");
}

void Scope::adopt(Fiber& fiber) noexcept {
  fiber.scope = this;
  fiber.next_sibling = first_;
  if (first_ != nullptr) first_->previous_sibling = &fiber;
  first_ = &fiber;
  ++live_;
  fiber.cancel_requested = canceled_;
  scheduler_->start(fiber);
}

void Scope::child_ended(Fiber& fiber, std::exception_ptr failure) noexcept {
  (fiber.previous_sibling != nullptr ? fiber.previous_sibling->next_sibling : first_) =
      fiber.next_sibling;
  if (fiber.next_sibling != nullptr) fiber.next_sibling->previous_sibling = fiber.previous_sibling;
  --live_;
  if (failure) {
    if (!failure_) failure_ = std::move(failure);
    cancel();
  }
  if (live_ == 0) joiners_.wake_all(*scheduler_);
}

void Scope::cancel() noexcept {
  canceled_ = true;
  for (Fiber* child = first_; child != nullptr; child = child->next_sibling)
    scheduler_->cancel(*child);
}

void Scope::join() {
  while (live_ > 0) {
    if (joiners_.wait(*scheduler_, Deadline::never(), "the fibers of a scope") != Wake::canceled)
      continue;
    cancel();
    CancelShield shield(*scheduler_);
    while (live_ > 0)
      (void)joiners_.wait(*scheduler_, Deadline::never(), "the canceled fibers of a scope");
  }
  rethrow_failure();
}

void Scope::rethrow_failure() {
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

}  // namespace twinwire
