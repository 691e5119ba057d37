// SPDX-License-Identifier: Apache-2.0
// The bytes of a WebSocket client that mean no good, or are a part of what would have been good.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "transport/ws/ws_frame.h"
#include "transport/ws/ws_upgrade.h"

namespace twinwire::props {

inline std::string ws_upgrade() {
  return ws::upgrade_request("/", "server", "", "dGhlIHNhbXBsZSBub25jZQ==");
}

// The head of a client's frame that announces so many bytes; its mask changes none of them.
inline std::string ws_head(unsigned first, std::uint64_t length, bool masked = true) {
  const ws::MaskKey key{};
  std::byte bytes[ws::head_size_max];
  const std::size_t size =
      ws::write_head(bytes, ws::Opcode::binary, length, masked ? &key : nullptr);
  bytes[0] = static_cast<std::byte>(first);
  return {reinterpret_cast<const char*>(bytes), size};
}

// A whole binary message.
inline std::string ws_message(const std::string& payload) {
  return ws_head(0x82, payload.size()) + payload;
}

}  // namespace twinwire::props
