// SPDX-License-Identifier: Apache-2.0
// The upgrade from HTTP/1.1 to WebSocket (RFC 6455 section 4) as text in, text out. Never suspends.
//
// No extension and no subprotocol is offered or accepted: a client that offers permessage-deflate gets a connection
// without it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace twinwire::ws {

inline constexpr std::size_t upgrade_head_max = 8 * 1024;

// Whom a server lets in.
struct UpgradePolicy {
  std::string path = "/";          // without the query
  std::vector<std::string> hosts;  // empty: any; else one of these must be in the Host field
  std::vector<std::string>
      origins;  // empty: any; else one of these, or no Origin at all (no browser)
};

struct UpgradeAnswer {
  unsigned status = 0;  // 101: accepted
  std::string text;     // the whole reply
};

// The reply to a request's head, which ends with an empty line.
// 400 malformed · 403 Host or Origin · 404 path · 405 method · 426 no upgrade, or another version · 505 not HTTP/1.1
UpgradeAnswer answer_upgrade(std::string_view head, const UpgradePolicy& policy);
// A reply that refuses with this status.
UpgradeAnswer refuse_upgrade(unsigned status);

std::string upgrade_key(std::span<const std::byte, 16> random);  // base64
std::string upgrade_request(std::string_view path, std::string_view host, std::string_view origin,
                            std::string_view key);
// Whether a server's reply to a request with `key` makes this a WebSocket.
bool upgrade_accepted(std::string_view head, std::string_view key);
// Sec-WebSocket-Accept for a key.
std::string accept_value(std::string_view key);

}  // namespace twinwire::ws
