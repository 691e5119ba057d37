// SPDX-License-Identifier: Apache-2.0
#include "props/peers/udp_socket.h"

#include <arpa/inet.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103  // Linux 4.18
#endif
#ifndef UDP_GRO
#define UDP_GRO 104  // Linux 5.0
#endif

namespace twinwire::peers {

UdpSocket::UdpSocket(std::uint16_t port)
    : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
      rooms_(messages_max, std::vector<std::uint8_t>(64 * 1024)) {
  if (fd() < 0) fail_errno("socket");
  local_.sin_family = AF_INET;
  local_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  local_.sin_port = htons(port);
  auto* any = reinterpret_cast<sockaddr*>(&local_);
  socklen_t size = sizeof local_;
  if (::bind(fd(), any, size) != 0) fail_errno("bind");
  (void)::getsockname(fd(), any, &size);
  const int on = 1;
  const int room = 2 << 20;  // as ours: the default holds less than one burst
  (void)::setsockopt(fd(), SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  const int probe = IP_PMTUDISC_PROBE;
  (void)::setsockopt(fd(), IPPROTO_UDP, UDP_GRO, &on, sizeof on);
  (void)::setsockopt(fd(), IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe);
}

void UdpSocket::send(const sockaddr_in& to, std::span<const std::uint8_t> bytes,
                     std::size_t segment) const {
  iovec piece{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  Control control{};
  msghdr message{};
  message.msg_name = const_cast<sockaddr_in*>(&to);
  message.msg_namelen = sizeof to;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (bytes.size() > segment) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(std::uint16_t));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    const auto size = static_cast<std::uint16_t>(segment);
    std::memcpy(CMSG_DATA(header), &size, sizeof size);
  }
  while (::sendmsg(fd(), &message, 0) < 0) {
    if (errno == EMSGSIZE) return;  // a probe for a larger MTU
    if (errno != EAGAIN) fail_errno("sendmsg");
    pollfd room{fd(), POLLOUT, 0};
    (void)::poll(&room, 1, 100);
  }
}

int UdpSocket::fetch() {
  for (std::size_t i = 0; i < messages_max; ++i) {
    pieces_[i] = {rooms_[i].data(), rooms_[i].size()};
    msghdr& header = messages_[i].msg_hdr;
    header.msg_name = &from_[i];
    header.msg_namelen = sizeof from_[i];
    header.msg_iov = &pieces_[i];
    header.msg_iovlen = 1;
    header.msg_control = controls_[i].bytes;
    header.msg_controllen = sizeof controls_[i].bytes;
  }
  return ::recvmmsg(fd(), messages_, messages_max, MSG_DONTWAIT, nullptr);
}

std::size_t UdpSocket::segment_of(std::size_t index, std::size_t size) const noexcept {
  const msghdr& message = messages_[index].msg_hdr;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != IPPROTO_UDP || header->cmsg_type != UDP_GRO)
    return size;
  int segment = 0;
  std::memcpy(&segment, CMSG_DATA(header), sizeof segment);
  return static_cast<std::size_t>(std::max(segment, 1));
}

void UdpSocket::wait(std::uint64_t timeout_ns) const {
  pollfd readable{fd(), POLLIN, 0};
  const timespec timeout{static_cast<time_t>(timeout_ns / 1'000'000'000),
                         static_cast<long>(timeout_ns % 1'000'000'000)};
  (void)::ppoll(&readable, 1, &timeout, nullptr);
}

}  // namespace twinwire::peers
