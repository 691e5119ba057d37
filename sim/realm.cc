// SPDX-License-Identifier: Apache-2.0
#include "sim/realm.h"

#include <algorithm>

#include "sim/lie.h"

namespace twinwire::sim {
namespace {

constexpr Address loopback6{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 0};
constexpr Address any4 = Address::v4(0, 0, 0, 0, 0);
constexpr Address any6{};

}  // namespace

Address shown(const Address& node, Realm realm) noexcept {
  switch (realm) {
    case Realm::v4: break;
    case Realm::v6: {
      Address address{.port = node.port};
      address.ip[0] = 0xfd;
      address.ip[14] = node.ip[14];
      address.ip[15] = node.ip[15];
      return address;
    }
    case Realm::loop4: return Address::v4(127, 0, 0, 1, node.port);
    case Realm::loop6: return {loopback6.ip, node.port};
  }
  return node;
}

Spot locate(const Address& asked, const Address& node) noexcept {
  Address own = node;
  own.port = asked.port;
  if (asked.is_v4() && asked.ip[12] == 127) return {own, Realm::loop4};
  if (asked.ip == loopback6.ip) return {own, Realm::loop6};
  Address named = Address::v4(10, 0, asked.ip[14], asked.ip[15], asked.port);
  if (shown(named, Realm::v6) == asked) return {named, Realm::v6};
  return {asked, asked.is_v4() ? Realm::v4 : Realm::v6};
}

bool is_unspecified(const Address& address) noexcept {
  return address.ip == any4.ip || address.ip == any6.ip;
}

bool covers(const Address& bound, const Address& address) noexcept {
  if (bound.ip == any6.ip) return !LIE(any6_is_deaf_to_v4) || !address.is_v4();
  if (bound.ip == any4.ip) return address.is_v4();
  return bound.ip == address.ip || LIE(bound_address_is_ignored);
}

bool conflict(const Address& a, const Address& b) noexcept {
  return a.port == b.port && (covers(a, b) || covers(b, a) || LIE(one_socket_to_a_port));
}

}  // namespace twinwire::sim
