// SPDX-License-Identifier: Apache-2.0
// A UDP socket used as ngtcp2's users do: many packets to a system call (UDP_SEGMENT, recvmmsg, UDP_GRO).
#pragma once

#include <netinet/in.h>

#include <span>
#include <vector>

#include "props/peers/peer.h"

namespace twinwire::peers {

class UdpSocket {
 public:
  // On loopback; port 0: any.
  explicit UdpSocket(std::uint16_t port);
  int fd() const noexcept { return socket_.fd(); }
  const sockaddr_in& local() const noexcept { return local_; }

  // Cut into packets of `segment` bytes, the last may be shorter.
  void send(const sockaddr_in& to, std::span<const std::uint8_t> bytes, std::size_t segment) const;

  // f(from, packet) for each packet that is here; false: there was none.
  template <class F>
  bool receive(F&& f) {
    const int count = fetch();
    for (int i = 0; i < count; ++i) {
      const auto index = static_cast<std::size_t>(i);
      std::span<const std::uint8_t> rest(rooms_[index].data(), messages_[index].msg_len);
      const std::size_t segment = segment_of(index, rest.size());
      while (!rest.empty()) {
        const std::size_t n = std::min(segment, rest.size());
        f(from_[index], rest.first(n));
        rest = rest.subspan(n);
      }
    }
    return count > 0;
  }
  // Until a packet is here, or the time is up.
  void wait(std::uint64_t timeout_ns) const;

 private:
  static constexpr std::size_t messages_max = 16;
  int fetch();
  std::size_t segment_of(std::size_t index, std::size_t size) const noexcept;

  Socket socket_;
  sockaddr_in local_{};
  std::vector<std::vector<std::uint8_t>> rooms_;
  mmsghdr messages_[messages_max]{};
  iovec pieces_[messages_max]{};
  sockaddr_in from_[messages_max]{};
  struct alignas(cmsghdr) Control {
    std::byte bytes[CMSG_SPACE(sizeof(int))];
  } controls_[messages_max]{};
};

}  // namespace twinwire::peers
