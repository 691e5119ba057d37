// SPDX-License-Identifier: Apache-2.0
#include "real/datagram_control.h"

#include <cstring>

#include "real/socket_address.h"

namespace twinwire::real {
namespace {

class ControlWriter {
 public:
  ControlWriter(msghdr& message, DatagramControl& control) noexcept : message_(&message) {
    message.msg_control = control.bytes;
    message.msg_controllen = 0;
    next_ = control.bytes;
  }

  template <class T>
  void add(int level, int type, const T& value) noexcept {
    std::memset(next_, 0, CMSG_SPACE(sizeof(T)));
    auto* header = reinterpret_cast<cmsghdr*>(next_);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(sizeof(T));
    std::memcpy(CMSG_DATA(header), &value, sizeof(T));
    next_ += CMSG_SPACE(sizeof(T));
    message_->msg_controllen += CMSG_SPACE(sizeof(T));
  }

 private:
  msghdr* message_;
  std::byte* next_;
};

template <class T>
T read(const cmsghdr* header) noexcept {
  T value{};
  const std::size_t size = header->cmsg_len - CMSG_LEN(0);
  std::memcpy(&value, CMSG_DATA(header), size < sizeof value ? size : sizeof value);
  return value;
}

}  // namespace

void write_control(msghdr& message, DatagramControl& control, const Datagram& datagram,
                   std::uint16_t segment_size, bool v6_socket) noexcept {
  ControlWriter writer(message, control);
  if (!is_wildcard(datagram.local)) {
    if (v6_socket) {
      in6_pktinfo info{};
      std::memcpy(&info.ipi6_addr, datagram.local.ip.data(), datagram.local.ip.size());
      writer.add(IPPROTO_IPV6, IPV6_PKTINFO, info);
    } else {
      in_pktinfo info{};
      std::memcpy(&info.ipi_spec_dst, &datagram.local.ip[12], 4);
      writer.add(IPPROTO_IP, IP_PKTINFO, info);
    }
  }
  if (datagram.ecn != Ecn::not_ect) {
    const int mark = static_cast<int>(datagram.ecn);
    if (datagram.remote.is_v4())
      writer.add(IPPROTO_IP, IP_TOS, mark);
    else
      writer.add(IPPROTO_IPV6, IPV6_TCLASS, mark);
  }
  if (segment_size != 0) writer.add(IPPROTO_UDP, UDP_SEGMENT, segment_size);
  if (message.msg_controllen == 0) message.msg_control = nullptr;
}

void read_control(const msghdr& message, ReceivedDatagram& datagram) noexcept {
  const std::uint16_t port = datagram.local.port;
  auto* whole = const_cast<msghdr*>(&message);
  for (cmsghdr* header = CMSG_FIRSTHDR(whole); header != nullptr;
       header = CMSG_NXTHDR(whole, header)) {
    const int type = header->cmsg_type;
    if (header->cmsg_level == IPPROTO_IP && type == IP_PKTINFO)
      datagram.local = address_of(read<in_pktinfo>(header).ipi_addr, port);
    else if (header->cmsg_level == IPPROTO_IPV6 && type == IPV6_PKTINFO)
      datagram.local = address_of(read<in6_pktinfo>(header).ipi6_addr, port);
    else if (header->cmsg_level == IPPROTO_IP && type == IP_TOS)  // one byte
      datagram.ecn = static_cast<Ecn>(read<std::uint8_t>(header) & 3);
    else if (header->cmsg_level == IPPROTO_IPV6 && type == IPV6_TCLASS)  // an int
      datagram.ecn = static_cast<Ecn>(read<int>(header) & 3);
    else if (header->cmsg_level == IPPROTO_UDP && type == UDP_GRO)  // an int
      datagram.segment_size = static_cast<std::uint16_t>(read<int>(header));
  }
}

}  // namespace twinwire::real
