// SPDX-License-Identifier: Apache-2.0
#include "transport/bus/handshake/handshake.h"

#include "transport/wire/seal.h"

namespace twinwire::bus {

HandshakeNonce draw_nonce(Random& random) noexcept {
  HandshakeNonce nonce{};
  random.fill(nonce);
  return nonce;
}

Result<Message> message_of(const HandshakeFrame& frame, BufferPool& pool, bool sealed) noexcept {
  auto message = MutableMessage::create(
      pool, static_cast<Command>(load<std::uint8_t>(frame.data() + offset::command)), 0);
  if (!message) return message.error();
  std::ranges::copy(frame, message->bytes().begin());
  if (sealed) seal(*message);
  return std::move(*message).freeze();
}

}  // namespace twinwire::bus
