// SPDX-License-Identifier: Apache-2.0
// Address to sockaddr and back. An IPv4-mapped Address is an AF_INET socket address, and the other way round.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "transport/net/address.h"

namespace twinwire::real {

struct SocketAddress {
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
  socklen_t length = sizeof(sockaddr_in6);

  SocketAddress() noexcept : v6{} {}  // room for the kernel to write one
  explicit SocketAddress(const Address& address) noexcept;

  int family() const noexcept { return any.sa_family; }
  // All zero where the kernel wrote none.
  Address address() const noexcept;
};

Address address_of(const in_addr& ip, std::uint16_t port) noexcept;
Address address_of(const in6_addr& ip, std::uint16_t port) noexcept;

// Where the socket is bound; all zero where the kernel does not say.
Address local_address(int fd) noexcept;

// Who it is connected to; all zero where the kernel does not say.
Address peer_address(int fd) noexcept;

// An address that stands for "any": all zero, or IPv4's 0.0.0.0. The port does not matter.
bool is_wildcard(const Address& address) noexcept;

}  // namespace twinwire::real
