// SPDX-License-Identifier: Apache-2.0
// Outbox: the messages that wait for one peer, in a ring that is allocated once.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

#include "transport/wire/batch.h"
#include "transport/wire/message.h"

namespace twinwire::bus {

class Outbox {
 public:
  // Room for that many. False: there is no memory.
  [[nodiscard]] bool allocate(std::size_t capacity) noexcept {
    ring_.reset(new (std::nothrow) Message[capacity]);
    capacity_ = ring_ == nullptr ? 0 : capacity;
    return ring_ != nullptr;
  }

  bool full() const noexcept { return size_ == capacity_; }
  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }

  // Requires   !full()
  void push(Message&& message) noexcept {
    std::size_t at = first_ + size_;
    if (at >= capacity_) at -= capacity_;
    ring_[at] = std::move(message);
    ++size_;
  }

  // As the oldest of all; only a planted bug does that.
  void push_front(Message&& message) noexcept {
    first_ = first_ == 0 ? capacity_ - 1 : first_ - 1;
    ring_[first_] = std::move(message);
    ++size_;
  }

  // Moves the oldest into `batch`, until that has `max` messages; it has room for them.
  void take(Batch& batch, std::size_t max) {
    while (size_ != 0 && batch.size() < max) {
      batch.push(std::move(ring_[first_]));
      first_ = first_ + 1 == capacity_ ? 0 : first_ + 1;
      --size_;
    }
  }

  void clear() noexcept {
    while (size_ != 0) {
      ring_[first_] = Message();
      first_ = first_ + 1 == capacity_ ? 0 : first_ + 1;
      --size_;
    }
  }

 private:
  std::unique_ptr<Message[]> ring_;
  std::size_t capacity_ = 0;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace twinwire::bus
