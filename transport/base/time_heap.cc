// SPDX-License-Identifier: Apache-2.0
#include "transport/base/time_heap.h"

#include <algorithm>

namespace twinwire {

void TimeHeap::set_among(TimedNode& node, TimePoint due) {
  node.due_order = ++orders_;
  const TimePoint old = node.due;
  node.due = due;
  if (!node.queued()) {
    heap_.push_back(&node);
    node.heap_index = static_cast<std::uint32_t>(heap_.size() - 1);
    sift_up(node.heap_index);
  } else if (due < old) {
    sift_up(node.heap_index);
  } else {
    sift_down(node.heap_index);
  }
}

void TimeHeap::remove_from_within(TimedNode& node) noexcept {
  const std::size_t index = node.heap_index;
  node.heap_index = TimedNode::not_queued;
  TimedNode* last = heap_.back();
  heap_.pop_back();
  place(index, last);
  sift_up(index);
  sift_down(last->heap_index);
}

void TimeHeap::sift_up(std::size_t index) noexcept {
  TimedNode* moving = heap_[index];
  while (index > 0) {
    const std::size_t parent = (index - 1) / 4;
    if (!before(*moving, *heap_[parent])) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, moving);
}

void TimeHeap::sift_down(std::size_t index) noexcept {
  TimedNode* moving = heap_[index];
  for (;;) {
    const std::size_t first = 4 * index + 1;
    if (first >= heap_.size()) break;
    const std::size_t end = std::min(first + 4, heap_.size());
    std::size_t least = first;
    for (std::size_t child = first + 1; child < end; ++child)
      if (before(*heap_[child], *heap_[least])) least = child;
    if (!before(*heap_[least], *moving)) break;
    place(index, heap_[least]);
    index = least;
  }
  place(index, moving);
}

}  // namespace twinwire
