// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/place.h"

namespace twinwire::oracle {
namespace {

constexpr std::string_view place_names[place_count] = {
    "0.0.0.0", "::", "127.0.0.1", "::1", "own4", "own6", "far4", "far6", "nobody"};
constexpr Address loop6{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 0};

}  // namespace

Address Places::at(Place place, std::uint16_t port) const {
  Address address;
  switch (place) {
    case Place::any4: address = Address::v4(0, 0, 0, 0, 0); break;
    case Place::any6: break;
    case Place::loop4: address = Address::v4(127, 0, 0, 1, 0); break;
    case Place::loop6: address = loop6; break;
    case Place::own4: address = own4; break;
    case Place::own6: address = own6; break;
    case Place::far4: address = far4; break;
    case Place::far6: address = far6; break;
    case Place::nobody4: address = nobody4; break;
  }
  address.port = port;
  return address;
}

std::optional<Place> Places::of(const Address& address) const {
  for (int i = 0; i < place_count; ++i)
    if (at(static_cast<Place>(i), 0).ip == address.ip) return static_cast<Place>(i);
  return std::nullopt;
}

std::string_view name(Place place) noexcept { return place_names[static_cast<std::size_t>(place)]; }

bool is_any(Place place) noexcept { return place == Place::any4 || place == Place::any6; }

bool is_v4(Place place) noexcept {
  return place != Place::any6 && place != Place::loop6 && place != Place::own6 &&
         place != Place::far6;
}

}  // namespace twinwire::oracle
