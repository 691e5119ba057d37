// SPDX-License-Identifier: Apache-2.0
// Place: an address as a script names it, so that one script runs where hosts have other addresses.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "transport/net/address.h"

namespace twinwire::oracle {

enum class Place : std::uint8_t {
  any4,   // 0.0.0.0
  any6,   // ::, which takes IPv4 as well
  loop4,  // 127.0.0.1
  loop6,  // ::1
  own4,   // what the host has beside that
  own6,
  far4,  // the other host's
  far6,
  nobody4,  // nobody's
};
inline constexpr int place_count = static_cast<int>(Place::nobody4) + 1;

// The addresses of one host, as the places say them.
struct Places {
  Address own4;
  Address own6;
  Address far4;
  Address far6;
  Address nobody4;

  Address at(Place place, std::uint16_t port) const;
  // none: it is no place of this host's or the other's
  std::optional<Place> of(const Address& address) const;
};

std::string_view name(Place place) noexcept;
bool is_any(Place place) noexcept;
bool is_v4(Place place) noexcept;

}  // namespace twinwire::oracle
