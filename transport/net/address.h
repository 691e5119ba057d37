// SPDX-License-Identifier: Apache-2.0
// Address: where a stream or datagram socket lives. IPv6, or IPv4 mapped into it (RFC 4291, section 2.5.5.2).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "transport/base/error.h"

namespace twinwire {

struct Address {
  std::array<std::uint8_t, 16> ip{};
  std::uint16_t port = 0;

  static constexpr Address v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d,
                              std::uint16_t port) noexcept {
    return {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}, port};
  }
  bool is_v4() const noexcept;
  friend auto operator<=>(const Address&, const Address&) = default;
};

// "127.0.0.1:4000" or "[::1]:4000".
std::string to_string(const Address& address);
// The inverse. Numeric only: names are not resolved here.
// Errors     invalid (not of that form, or a port over 65535)
Result<Address> parse_address(std::string_view text);

}  // namespace twinwire
