// SPDX-License-Identifier: Apache-2.0
// A network namespace for this process alone, and a wire in it whose packets move when they are told to.
//
// The wire is a TUN device: what the kernel sends to `far` comes out of a descriptor, and goes back in with source and
// destination exchanged (which no checksum notices). So one host talks to itself as if to another, and whoever holds
// the descriptor decides when each packet arrives. The kernel's own TCP is on both ends; nothing sleeps.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "props/oracle/place.h"
#include "transport/base/error.h"
#include "transport/net/address.h"

namespace twinwire::oracle {

inline const Address near_host = Address::v4(10, 9, 0, 1, 0);
inline const Address far_host = Address::v4(10, 9, 0, 2, 0);

// The addresses of the host over loopback: 10.9.1.1 and fd00:9::1 beside 127.0.0.1 and ::1.
Places loopback_places();

// Moves the calling thread, and those it starts from then on, into a network namespace of its own, with loopback up.
// Once; later calls do nothing. Needs CAP_SYS_ADMIN, or user namespaces that anybody may make.
Result<void> enter_private_network();

// The first of eight ports that nobody has had in this network for the last minute: the kernel remembers. Where they
// run out another private network is entered.
Result<std::uint16_t> fresh_ports();

class HeldWire {
 public:
  // Requires enter_private_network().
  static Result<std::unique_ptr<HeldWire>> create();
  HeldWire(const HeldWire&) = delete;
  HeldWire& operator=(const HeldWire&) = delete;
  ~HeldWire();

  // What is on the wire now arrives; what that provokes stays on the wire. Returns how many packets there were.
  std::size_t hop();
  // Until nothing is on the wire.
  void settle();

 private:
  explicit HeldWire(int fd) noexcept : fd_(fd) {}
  int fd_;
};

}  // namespace twinwire::oracle
