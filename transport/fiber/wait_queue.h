// SPDX-License-Identifier: Apache-2.0
// WaitQueue and Event: how fibers wait for each other. First come, first served; no allocation.
#pragma once

#include "transport/base/check.h"
#include "transport/fiber/scheduler.h"

namespace twinwire {

// Fibers that wait for something, in order. The node of each lies on its own stack.
class WaitQueue {
 public:
  WaitQueue() noexcept = default;
  WaitQueue(const WaitQueue&) = delete;
  WaitQueue& operator=(const WaitQueue&) = delete;
  ~WaitQueue() { TWINWIRE_CHECK(first_ == nullptr, "what a fiber waits for was destroyed"); }

  bool empty() const noexcept { return first_ == nullptr; }

  Wake wait(Scheduler& scheduler, Deadline deadline, const char* waiting_for) {
    Node node{&scheduler.current(), last_, nullptr, true};
    (last_ != nullptr ? last_->next : first_) = &node;
    last_ = &node;
    const Wake wake = scheduler.park(deadline, waiting_for);
    if (node.linked) unlink(node);
    return wake;
  }

  // Wakes the first that still waits. A fiber that was canceled or timed out meanwhile does not use up the wake.
  bool wake_one(Scheduler& scheduler) noexcept {
    while (first_ != nullptr) {
      Node& node = *first_;
      unlink(node);
      if (scheduler.wake(*node.fiber)) return true;
    }
    return false;
  }
  void wake_all(Scheduler& scheduler) noexcept {
    while (wake_one(scheduler)) {}
  }

 private:
  struct Node {
    Fiber* fiber;
    Node* previous;
    Node* next;
    bool linked;
  };
  void unlink(Node& node) noexcept {
    (node.previous != nullptr ? node.previous->next : first_) = node.next;
    (node.next != nullptr ? node.next->previous : last_) = node.previous;
    node.linked = false;
  }

  Node* first_ = nullptr;
  Node* last_ = nullptr;
};

// A condition that stays true once set, until reset.
class Event {
 public:
  explicit Event(Scheduler& scheduler) noexcept : scheduler_(&scheduler) {}

  bool is_set() const noexcept { return set_; }
  void set() noexcept {
    set_ = true;
    waiters_.wake_all(*scheduler_);
  }
  void reset() noexcept { set_ = false; }

  // Errors     timed_out · canceled
  Result<void> wait(Deadline deadline, const char* waiting_for = "event") {
    while (!set_) {
      const Wake wake = waiters_.wait(*scheduler_, deadline, waiting_for);
      if (wake != Wake::ready && !set_) return to_errc(wake);
    }
    return {};
  }

 private:
  Scheduler* scheduler_;
  WaitQueue waiters_;
  bool set_ = false;
};

}  // namespace twinwire
