// SPDX-License-Identifier: Apache-2.0
#include "props/peers/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "transport/net/write_all.h"

namespace twinwire::peers {

void fail_errno(const char* what) { fail(std::string(what) + ": " + std::strerror(errno)); }

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

void Socket::write_all(std::span<iovec> pieces) const {
  while (!pieces.empty()) {
    const std::size_t count = std::min<std::size_t>(pieces.size(), 1024);
    const ssize_t n = ::writev(fd_, pieces.data(), static_cast<int>(count));
    if (n < 0) fail_errno("write");
    pieces = advance(pieces, static_cast<std::size_t>(n));
  }
}

std::size_t Socket::read(std::span<std::byte> into) const {
  const ssize_t n = ::recv(fd_, into.data(), into.size(), 0);
  if (n < 0) fail_errno("read");
  return static_cast<std::size_t>(n);
}

void print_port(std::uint16_t port) {
  std::printf("port %u\n", unsigned{port});
  std::fflush(stdout);
}

Socket connection(const Call& call) {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.fd() < 0) fail_errno("socket");
  const int on = 1;
  // What `bench` chooses for our side, too: a paced one (bbr) would measure its pace.
  (void)::setsockopt(socket.fd(), IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
  (void)::setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(call.port);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  if (!call.serves) {
    if (::connect(socket.fd(), any, size) != 0) fail_errno("connect");
    return socket;
  }
  if (::bind(socket.fd(), any, size) != 0 || ::listen(socket.fd(), 1) != 0) fail_errno("listen");
  (void)::getsockname(socket.fd(), any, &size);
  print_port(ntohs(address.sin_port));
  Socket accepted(::accept4(socket.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  if (accepted.fd() < 0) fail_errno("accept");
  return accepted;
}

Framer::Framer(std::size_t message_max)
    : message_max_(std::max(message_max, answer_size)),
      memory_(std::max<std::size_t>(256 * 1024, 2 * message_max_) + 4096),
      bytes_(memory_.data() + (4096 - reinterpret_cast<std::uintptr_t>(memory_.data()) % 4096)),
      capacity_(memory_.size() - 4096) {}

std::span<std::byte> Framer::space() {
  // The beginning of a frame moves to the front only where the rest would not fit behind it.
  if (capacity_ - end_ < message_max_) {
    std::memmove(bytes_, bytes_ + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return {bytes_ + end_, capacity_ - end_};
}

}  // namespace twinwire::peers
