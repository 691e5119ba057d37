// SPDX-License-Identifier: Apache-2.0
#include "transport/bus/handshake/handshake_options.h"

namespace twinwire::bus {
namespace {

// -1: none.
int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Result<HandshakeKey> handshake_key(std::string_view text) noexcept {
  constexpr std::string_view white = " \t\r\n";
  const std::size_t first = text.find_first_not_of(white);
  if (first == std::string_view::npos) return Errc::invalid;
  text = text.substr(first, text.find_last_not_of(white) + 1 - first);
  HandshakeKey key;
  if (text.size() != 2 * key.bytes.size()) return Errc::invalid;
  for (std::size_t i = 0; i < key.bytes.size(); ++i) {
    const int high = hex_digit(text[2 * i]);
    const int low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return Errc::invalid;
    key.bytes[i] = static_cast<std::byte>(high * 16 + low);
  }
  return key;
}

}  // namespace twinwire::bus
