// SPDX-License-Identifier: Apache-2.0
#include "real/socket_address.h"

#include <algorithm>
#include <cstring>

namespace twinwire::real {

SocketAddress::SocketAddress(const Address& address) noexcept : v6{} {
  if (address.is_v4()) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    std::memcpy(&v4.sin_addr, &address.ip[12], 4);
    length = sizeof v4;
    return;
  }
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(address.port);
  std::memcpy(&v6.sin6_addr, address.ip.data(), 16);
}

Address SocketAddress::address() const noexcept {
  if (family() == AF_INET) return address_of(v4.sin_addr, ntohs(v4.sin_port));
  if (family() == AF_INET6) return address_of(v6.sin6_addr, ntohs(v6.sin6_port));
  return {};
}

Address address_of(const in_addr& ip, std::uint16_t port) noexcept {
  std::uint8_t bytes[4];
  std::memcpy(bytes, &ip, sizeof bytes);
  return Address::v4(bytes[0], bytes[1], bytes[2], bytes[3], port);
}

Address address_of(const in6_addr& ip, std::uint16_t port) noexcept {
  Address address;
  std::memcpy(address.ip.data(), &ip, address.ip.size());
  address.port = port;
  return address;
}

Address local_address(int fd) noexcept {
  SocketAddress bound;
  if (::getsockname(fd, &bound.any, &bound.length) != 0) return {};
  return bound.address();
}

Address peer_address(int fd) noexcept {
  SocketAddress peer;
  if (::getpeername(fd, &peer.any, &peer.length) != 0) return {};
  return peer.address();
}

bool is_wildcard(const Address& address) noexcept {
  const auto first = address.ip.begin() + (address.is_v4() ? 12 : 0);
  return std::all_of(first, address.ip.end(), [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace twinwire::real
