// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/kernel_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "props/oracle/kernel_address.h"

namespace twinwire::oracle {
namespace {

void set(int fd, int level, int option, int value) {
  (void)::setsockopt(fd, level, option, &value, sizeof value);
}

}  // namespace

KernelSocket::KernelSocket(bool ipv6, std::uint32_t send_buffer, std::uint32_t receive_buffer)
    : fd_(::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
  set(fd_, IPPROTO_TCP, TCP_NODELAY, 1);
  // One that paces (bbr, a common default) would let packets leave by a timer.
  (void)::setsockopt(fd_, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
  if (send_buffer != 0) set(fd_, SOL_SOCKET, SO_SNDBUF, static_cast<int>(send_buffer));
  if (receive_buffer != 0) set(fd_, SOL_SOCKET, SO_RCVBUF, static_cast<int>(receive_buffer));
}

KernelSocket::~KernelSocket() {
  if (fd_ >= 0) ::close(fd_);
}

int KernelSocket::listen(const Address& address, int backlog) {
  set(fd_, SOL_SOCKET, SO_REUSEADDR, 1);
  const KernelAddress at(address);
  if (::bind(fd_, &at.any, at.length) != 0) return errno;
  return ::listen(fd_, backlog) != 0 ? errno : 0;
}

int KernelSocket::connect(const Address& to) {
  const KernelAddress at(to);
  return ::connect(fd_, &at.any, at.length) != 0 ? errno : 0;
}

int KernelSocket::connected(int milliseconds) {
  pollfd poll{fd_, POLLOUT, 0};
  if (::poll(&poll, 1, milliseconds) == 0) return EINPROGRESS;
  int error = 0;
  socklen_t size = sizeof error;
  (void)::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

std::optional<KernelSocket> KernelSocket::accept(Address& peer) {
  KernelAddress from;
  const int fd = ::accept4(fd_, &from.any, &from.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return std::nullopt;
  peer = from.address();
  return KernelSocket(fd);
}

Address KernelSocket::local() const { return local_address_of(fd_); }

bool KernelSocket::readable() const {
  pollfd poll{fd_, POLLIN, 0};
  return ::poll(&poll, 1, 0) > 0;
}

Result<std::size_t> KernelSocket::write(std::span<const iovec> pieces) {
  if (aborted_) return Errc::broken;
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces.data());
  message.msg_iovlen = pieces.size();
  const ssize_t n = ::sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n >= 0) return static_cast<std::size_t>(n);
  if (errno == EAGAIN) return Errc::timed_out;
  if (errno != EPIPE) failure_ = errno;
  return Error{Errc::broken, errno};
}

Result<std::size_t> KernelSocket::read(std::span<std::byte> into) {
  if (aborted_) return Errc::broken;
  const ssize_t n = ::recv(fd_, into.data(), into.size(), MSG_DONTWAIT);
  if (n > 0) return static_cast<std::size_t>(n);
  if (n == 0 && failure_ != 0) return Error{Errc::broken, failure_};
  if (n == 0) {
    end_read_ = true;
    return std::size_t{0};
  }
  if (errno == EAGAIN) return Errc::timed_out;
  failure_ = errno;
  return Error{Errc::broken, errno};
}

Outcome KernelSocket::end() {
  if (aborted_) return Outcome::of(Error{Errc::broken, 0});
  if (shut_) return Outcome::of(Kind::ok);  // the seam's: it is idempotent
  shut_ = true;
  if (::shutdown(fd_, SHUT_WR) != 0) return Outcome::of(Error{Errc::broken, errno});
  return Outcome::of(Kind::ok);
}

void KernelSocket::abort() {
  aborted_ = true;
  close_with_reset();
}

void KernelSocket::close_with_reset() {
  if (fd_ < 0) return;
  const linger none{1, 0};
  (void)::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  ::close(std::exchange(fd_, -1));
}

void KernelSocket::close(bool plainly) {
  int unread = 0;
  if (fd_ >= 0) (void)::ioctl(fd_, FIONREAD, &unread);
  if ((end_read_ && shut_) || (plainly && unread > 0)) {
    ::close(std::exchange(fd_, -1));
  } else {
    close_with_reset();
  }
}

}  // namespace twinwire::oracle
