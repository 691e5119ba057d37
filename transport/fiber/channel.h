// SPDX-License-Identifier: Apache-2.0
// Channel<T>: a bounded queue between fibers of one thread.
#pragma once

#include <cstddef>
#include <deque>
#include <utility>

#include "transport/fiber/wait_queue.h"

namespace twinwire {

template <class T>
class Channel {
 public:
  // `capacity` >= 1.
  Channel(Scheduler& scheduler, std::size_t capacity) noexcept
      : scheduler_(&scheduler), capacity_(capacity) {
    TWINWIRE_CHECK(capacity >= 1, "a channel holds at least one value");
  }

  // Queues `value`, waiting for room. On failure the value is still the caller's.
  // Errors     shutting_down (the channel was closed) · timed_out · canceled
  Result<void> send(T& value, Deadline deadline) {
    while (!closed_ && values_.size() >= capacity_) {
      const Wake wake = senders_.wait(*scheduler_, deadline, "room in a channel");
      if (wake != Wake::ready && values_.size() >= capacity_) return to_errc(wake);
    }
    return try_send(value);
  }

  // The same without suspending.
  // Errors     backpressure (full) · shutting_down
  Result<void> try_send(T& value) {
    if (closed_) return Errc::shutting_down;
    if (values_.size() >= capacity_) return Errc::backpressure;
    values_.push_back(std::move(value));
    receivers_.wake_one(*scheduler_);
    return {};
  }

  // The oldest value. After close(), what is still queued comes first.
  // Errors     closed · timed_out · canceled
  Result<T> receive(Deadline deadline) {
    while (values_.empty()) {
      if (closed_) return Errc::closed;
      const Wake wake = receivers_.wait(*scheduler_, deadline, "a value in a channel");
      if (wake != Wake::ready && values_.empty()) return to_errc(wake);
    }
    T value = std::move(values_.front());
    values_.pop_front();
    senders_.wake_one(*scheduler_);
    // A wake that another receiver was given first must not be lost while values remain.
    if (!values_.empty()) receivers_.wake_one(*scheduler_);
    return value;
  }

  // Refuses new values; wakes everybody. Idempotent.
  void close() noexcept {
    closed_ = true;
    senders_.wake_all(*scheduler_);
    receivers_.wake_all(*scheduler_);
  }

  std::size_t size() const noexcept { return values_.size(); }
  bool closed() const noexcept { return closed_; }

 private:
  Scheduler* scheduler_;
  std::size_t capacity_;
  std::deque<T> values_;
  WaitQueue senders_;
  WaitQueue receivers_;
  bool closed_ = false;
};

}  // namespace twinwire
