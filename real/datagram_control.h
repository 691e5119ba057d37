// SPDX-License-Identifier: Apache-2.0
// The control messages of a datagram: local address, ECN mark, segment size.
#pragma once

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

#include "transport/net/datagram_socket.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103  // Linux 4.18
#endif
#ifndef UDP_GRO
#define UDP_GRO 104  // Linux 5.0
#endif

namespace twinwire::real {

// Room for every control message that a datagram can carry, in either direction.
struct DatagramControl {
  alignas(
      cmsghdr) std::byte bytes[CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(in_pktinfo)) +
                               2 * CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(int))];
};

// Makes `control` part of `message`: sends from datagram.local (unless all zero), marks with datagram.ecn, has the
// kernel cut at `segment_size` (unless 0). `v6_socket`: the socket's family is AF_INET6.
void write_control(msghdr& message, DatagramControl& control, const Datagram& datagram,
                   std::uint16_t segment_size, bool v6_socket) noexcept;

// Fills in local (its port stays), ecn and segment_size from what the kernel wrote.
void read_control(const msghdr& message, ReceivedDatagram& datagram) noexcept;

}  // namespace twinwire::real
