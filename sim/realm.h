// SPDX-License-Identifier: Apache-2.0
// Realm: by which of its addresses a node is spoken to. Within sim/ everything goes by 10.0.0.n, which names the node
// in traces and places; the realm says how that address looks to the sockets.
//
// A socket that is bound to "any" hears all of its family, `::` both families (Linux, unless IPV6_V6ONLY is set); one
// that is bound to loopback hears its own node alone.
#pragma once

#include <cstdint>

#include "transport/net/address.h"

namespace twinwire::sim {

enum class Realm : std::uint8_t {
  v4,     // 10.0.0.n
  v6,     // fd00::n
  loop4,  // 127.0.0.1, for all of 127.0.0.0/8
  loop6,  // ::1
};

// Somebody's place in the network: the node's address and the port, and how it looks.
struct Spot {
  Address address;  // 10.0.0.n; where it is nobody's, as it was given
  Realm realm = Realm::v4;
};

constexpr bool is_v4(Realm realm) noexcept { return realm == Realm::v4 || realm == Realm::loop4; }
constexpr bool is_loopback(Realm realm) noexcept {
  return realm == Realm::loop4 || realm == Realm::loop6;
}

// How it looks to a socket.
Address shown(const Address& node, Realm realm) noexcept;
inline Address shown(const Spot& spot) noexcept { return shown(spot.address, spot.realm); }

// Where `asked` is, for a socket of `node` (10.0.0.n): loopback is the node itself.
Spot locate(const Address& asked, const Address& node) noexcept;

// 0.0.0.0 or ::, whatever the port.
bool is_unspecified(const Address& address) noexcept;
// Whether a socket that is bound to `bound` hears what is sent to `address`.
bool covers(const Address& bound, const Address& address) noexcept;
// Whether no two sockets may be bound so at one time.
bool conflict(const Address& a, const Address& b) noexcept;

}  // namespace twinwire::sim
