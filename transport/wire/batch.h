// SPDX-License-Identifier: Apache-2.0
// Batch: the messages that one send_batch hands over as a unit. Lent to the writer; it comes back empty or whole.
#pragma once

#include <cstddef>
#include <exception>
#include <span>
#include <utility>
#include <vector>

#include "transport/wire/message.h"

namespace twinwire {

inline constexpr std::size_t batch_messages_max =
    512;  // IOV_MAX / 2: a WebSocket frame takes two pieces

class Batch {
 public:
  // Room for `capacity` messages; push beyond it grows the vector, as std::vector does.
  explicit Batch(std::size_t capacity = 0) { messages_.reserve(capacity); }

  // Room for that many, without an exception. False: there is no memory, and nothing has changed.
  [[nodiscard]] bool reserve(std::size_t capacity) noexcept {
    try {
      messages_.reserve(capacity);
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }
  void push(Message message) { messages_.push_back(std::move(message)); }
  // Drops every message and keeps the allocation for the next round.
  void clear() noexcept { messages_.clear(); }

  std::size_t size() const noexcept { return messages_.size(); }
  bool empty() const noexcept { return messages_.empty(); }
  std::size_t capacity() const noexcept { return messages_.capacity(); }
  const Message& operator[](std::size_t i) const noexcept { return messages_[i]; }
  std::span<const Message> messages() const noexcept { return messages_; }

 private:
  std::vector<Message> messages_;
};

}  // namespace twinwire
