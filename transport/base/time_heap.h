// SPDX-License-Identifier: Apache-2.0
// TimeHeap: a 4-ary heap of things that are due at an instant; first set first at equal instants. Intrusive, so that an
// entry can be moved or removed: both the fibers' timers and the World's events live in one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "transport/base/time.h"

namespace twinwire {

struct TimedNode {
  static constexpr std::uint32_t not_queued = UINT32_MAX;

  TimePoint due;
  std::uint64_t due_order = 0;
  std::uint32_t heap_index = not_queued;

  bool queued() const noexcept { return heap_index != not_queued; }
};

class TimeHeap {
 public:
  bool empty() const noexcept { return heap_.empty(); }
  std::size_t size() const noexcept { return heap_.size(); }
  TimePoint earliest() const noexcept {
    return heap_.empty() ? TimePoint::never() : heap_.front()->due;
  }
  TimedNode* top() const noexcept { return heap_.front(); }

  // Room for `size` entries at one time: up to there set() allocates nothing. May throw bad_alloc.
  void reserve(std::size_t size) {
    if (size > heap_.capacity()) heap_.reserve(2 * size);
  }
  // Queues `node` at `due`, or moves it there.
  void set(TimedNode& node, TimePoint due) {
    if (!heap_.empty()) return set_among(node, due);
    node.due_order = ++orders_;
    node.due = due;
    node.heap_index = 0;
    heap_.push_back(&node);
  }
  // Does nothing if it is not queued.
  void remove(TimedNode& node) noexcept {
    if (!node.queued()) return;
    if (heap_.back() != &node) return remove_from_within(node);
    node.heap_index = TimedNode::not_queued;
    heap_.pop_back();
  }

 private:
  void set_among(TimedNode& node, TimePoint due);
  void remove_from_within(TimedNode& node) noexcept;
  static bool before(const TimedNode& a, const TimedNode& b) noexcept {
    return a.due != b.due ? a.due < b.due : a.due_order < b.due_order;
  }
  void place(std::size_t index, TimedNode* node) noexcept {
    heap_[index] = node;
    node->heap_index = static_cast<std::uint32_t>(index);
  }
  void sift_up(std::size_t index) noexcept;
  void sift_down(std::size_t index) noexcept;

  std::vector<TimedNode*> heap_;
  std::uint64_t orders_ = 0;
};

}  // namespace twinwire
