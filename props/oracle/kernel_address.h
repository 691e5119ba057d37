// SPDX-License-Identifier: Apache-2.0
// Addresses as the system calls take them; of our own, as the truth does not depend on real/.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "transport/net/address.h"

namespace twinwire::oracle {

struct KernelAddress {
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
  socklen_t length = sizeof(sockaddr_in6);

  KernelAddress() noexcept : v6{} {}
  explicit KernelAddress(const Address& address) noexcept;
  Address address() const noexcept;
};

Address local_address_of(int fd) noexcept;
Address address_of_bytes(const void* ip, bool v4, std::uint16_t port) noexcept;

}  // namespace twinwire::oracle
