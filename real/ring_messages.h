// SPDX-License-Identifier: Apache-2.0
// What one ring tells another (IORING_OP_MSG_RING): who is told of it, and by which user_data it is known.
#pragma once

#include <cstdint>

namespace twinwire::real {

// Told in the middle of a turn: must not suspend, enter the kernel or run a user's code.
class RingMessageHandler {
 public:
  // Ring number `sender` sent a message here.
  virtual void on_ring_message(std::uint32_t sender) noexcept = 0;
  // A message from here to ring number `target` did not arrive, for this errno.
  virtual void on_ring_message_failed(std::uint32_t target, int error) noexcept = 0;

 protected:
  ~RingMessageHandler() = default;
};

// Their completions. Operations never uses what has these upper 32 bits, nor does RingTimer what is below its own.
struct RingMessages {
  static constexpr std::uint64_t first = 0xffff'ffff'0000'0000;
  static constexpr std::uint64_t arrived =
      first;  // on the ring that it went to; the result is who sent it
  // On the ring that sent it, with the number of the other: the result is a negative errno.
  static constexpr std::uint64_t failed(std::uint32_t target) noexcept {
    return first + 1 + target;
  }
  static constexpr std::uint32_t rings_max = 65'536;
};

}  // namespace twinwire::real
