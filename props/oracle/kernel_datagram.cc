// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/kernel_datagram.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "props/oracle/kernel_address.h"

namespace twinwire::oracle {
namespace {

constexpr std::size_t largest = 65'536;

void set_to(int fd, int level, int option, int value) {
  (void)::setsockopt(fd, level, option, &value, sizeof value);
}

Error error_of_send(int error) {
  if (error == EINVAL || error == EAFNOSUPPORT) return {Errc::unreachable, error};
  return from_errno(error);
}

}  // namespace

Result<std::unique_ptr<DatagramSocket>> KernelDatagram::bind(const Address& address,
                                                             const DatagramOptions& options,
                                                             BufferPool& buffers) {
  const bool v4 = address.is_v4();
  const int fd = ::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return from_errno(errno);
  std::unique_ptr<KernelDatagram> made(new KernelDatagram(fd, buffers));
  set_to(fd, IPPROTO_IP, IP_RECVTOS, 1);
  set_to(fd, IPPROTO_IP, IP_PKTINFO, 1);
  if (!v4) {
    set_to(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    set_to(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
  }
  if (options.receive_buffer != 0)
    set_to(fd, SOL_SOCKET, SO_RCVBUF, static_cast<int>(options.receive_buffer));
  const KernelAddress at(address);
  if (::bind(fd, &at.any, at.length) != 0) return from_errno(errno);
  made->local_ = local_address_of(fd);
  return std::unique_ptr<DatagramSocket>(std::move(made));
}

KernelDatagram::~KernelDatagram() { ::close(fd_); }

int KernelDatagram::send_one(const Datagram& datagram, std::span<const std::byte> bytes) const {
  alignas(cmsghdr) std::byte control[128] = {};
  KernelAddress to(datagram.remote);
  iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_name = &to.any;
  message.msg_namelen = to.length;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  const auto add = [&](int level, int type, const void* value, std::size_t size) {
    auto* header = reinterpret_cast<cmsghdr*>(control + message.msg_controllen);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(header), value, size);
    message.msg_controllen += CMSG_SPACE(size);
  };
  if (datagram.local != Address{} && local_.is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, datagram.local.ip.data() + 12, 4);
    add(IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
  } else if (datagram.local != Address{}) {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, datagram.local.ip.data(), 16);
    add(IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
  }
  const int mark = static_cast<int>(datagram.ecn);
  if (mark != 0 && datagram.remote.is_v4()) add(IPPROTO_IP, IP_TOS, &mark, sizeof mark);
  if (mark != 0 && !datagram.remote.is_v4()) add(IPPROTO_IPV6, IPV6_TCLASS, &mark, sizeof mark);
  if (message.msg_controllen == 0) message.msg_control = nullptr;
  return ::sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? errno : 0;
}

Result<std::size_t> KernelDatagram::send(std::span<const Datagram> datagrams, Deadline deadline) {
  if (deadline != Deadline::never()) return Errc::timed_out;
  std::size_t taken = 0;
  for (const Datagram& datagram : datagrams) {
    const std::size_t whole = datagram.bytes.size();
    const std::size_t part =
        datagram.segment_size != 0 ? datagram.segment_size : std::max<std::size_t>(whole, 1);
    std::size_t at = 0;
    do {
      const std::size_t size = std::min(part, whole - at);
      if (const int error = send_one(datagram, datagram.bytes.subspan(at, size)); error != 0) {
        if (taken > 0) return taken;  // told when it is the first of a call
        return error_of_send(error);
      }
      at += size;
    } while (at < whole);
    ++taken;
  }
  return taken;
}

Result<DatagramBatch> KernelDatagram::receive(Deadline) {
  Block* block = buffers_.allocate(largest);
  Slice room(block, block->data, block->capacity);
  alignas(cmsghdr) std::byte control[256];
  KernelAddress from;
  iovec piece{block->data, largest};
  msghdr message{};
  message.msg_name = &from.any;
  message.msg_namelen = from.length;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t n = ::recvmsg(fd_, &message, MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN ? Error{Errc::timed_out} : from_errno(errno);
  ReceivedDatagram datagram{.remote = from.address(), .local = local_};
  const auto mark = [&](const cmsghdr* header) {
    datagram.ecn = static_cast<Ecn>(
        std::to_integer<int>(*reinterpret_cast<const std::byte*>(CMSG_DATA(header))) & 3);
  };
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    const bool v4 = header->cmsg_level == IPPROTO_IP;
    if (v4 && header->cmsg_type == IP_TOS) mark(header);
    if (!v4 && header->cmsg_type == IPV6_TCLASS)
      mark(header);  // an int, its low byte first on the hosts we have
    if (v4 && header->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(header), sizeof info);
      datagram.local = address_of_bytes(&info.ipi_addr, true, local_.port);
    }
    if (!v4 && header->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(header), sizeof info);
      datagram.local = address_of_bytes(&info.ipi6_addr, false, local_.port);
    }
  }
  datagram.bytes = room.take_front(static_cast<std::size_t>(n));
  DatagramBatch batch;
  batch.push_back(std::move(datagram));
  return batch;
}

}  // namespace twinwire::oracle
