// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/kernel_address.h"

#include <cstring>

namespace twinwire::oracle {

KernelAddress::KernelAddress(const Address& address) noexcept : v6{} {
  if (address.is_v4()) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    std::memcpy(&v4.sin_addr, address.ip.data() + 12, 4);
    length = sizeof v4;
  } else {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    std::memcpy(&v6.sin6_addr, address.ip.data(), 16);
  }
}

Address KernelAddress::address() const noexcept {
  return any.sa_family == AF_INET ? address_of_bytes(&v4.sin_addr, true, ntohs(v4.sin_port))
                                  : address_of_bytes(&v6.sin6_addr, false, ntohs(v6.sin6_port));
}

Address address_of_bytes(const void* ip, bool v4, std::uint16_t port) noexcept {
  Address address = v4 ? Address::v4(0, 0, 0, 0, port) : Address{.port = port};
  std::memcpy(address.ip.data() + (v4 ? 12 : 0), ip, v4 ? 4 : 16);
  return address;
}

Address local_address_of(int fd) noexcept {
  KernelAddress at;
  (void)::getsockname(fd, &at.any, &at.length);
  return at.address();
}

}  // namespace twinwire::oracle
