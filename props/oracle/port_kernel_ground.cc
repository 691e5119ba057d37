// SPDX-License-Identifier: Apache-2.0
// Scripts of ports on the kernel, by plain system calls.
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "props/oracle/kernel_address.h"
#include "props/oracle/port_ground.h"
#include "props/oracle/private_network.h"

namespace twinwire::oracle {
namespace {

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

int bind_to(const Socket& socket, const Address& address) {
  const KernelAddress at(address);
  return ::bind(socket.fd(), &at.any, at.length) == 0 ? 0 : errno;
}

Socket open_for(const Address& address) {
  return Socket(::socket(address.is_v4() ? AF_INET : AF_INET6,
                         SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

void reset_on_close(const Socket& socket) {
  const linger none{1, 0};
  (void)::setsockopt(socket.fd(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

bool is_any_address(const Address& address) {
  return address.ip == Address{}.ip || address.ip == Address::v4(0, 0, 0, 0, 0).ip;
}

// What the seam says of an address that cannot be had.
Error error_of_address(int error) {
  if (error == EINVAL || error == EAFNOSUPPORT) return {Errc::unreachable, error};
  return from_errno(error);
}

class KernelPortStream final : public PortStream {
 public:
  KernelPortStream(Socket socket, const Address& peer)
      : socket_(std::move(socket)), local_(local_address_of(socket_.fd())), peer_(peer) {}
  // The seam's: before both ends it is a reset.
  ~KernelPortStream() override {
    if (!end_read_ || !ended_) reset_on_close(socket_);
  }
  Address local() const override { return local_; }
  Address peer() const override { return peer_; }
  Result<void> end() override {
    if (std::exchange(ended_, true)) return {};
    if (::shutdown(socket_.fd(), SHUT_WR) != 0) return Error{Errc::broken, errno};
    return {};
  }
  PortOutcome read() override {
    char byte = 0;
    const ssize_t n = ::recv(socket_.fd(), &byte, 1, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return {.kind = Kind::blocked};
    if (n < 0) failure_ = errno;
    if (failure_ != 0) return {.kind = Kind::error, .error = {Errc::broken, failure_}};
    end_read_ = true;
    return {.kind = Kind::end};
  }

 private:
  Socket socket_;
  Address local_;
  Address peer_;
  bool ended_ = false;
  bool end_read_ = false;
  int failure_ = 0;  // a failure is told again
};

class KernelPortListener final : public PortListener {
 public:
  explicit KernelPortListener(Socket socket) : socket_(std::move(socket)) {}
  Address local() const override { return local_address_of(socket_.fd()); }
  Result<std::unique_ptr<PortStream>> accept() override {
    KernelAddress peer;
    Socket accepted(::accept4(socket_.fd(), &peer.any, &peer.length, SOCK_CLOEXEC));
    if (accepted.fd() < 0) return errno == EAGAIN ? Error{Errc::timed_out} : from_errno(errno);
    return std::make_unique<KernelPortStream>(std::move(accepted), peer.address());
  }

 private:
  Socket socket_;
};

class KernelPortGround final : public PortGround {
 public:
  Places places() const override { return loopback_places(); }
  std::uint16_t ports_from() const override { return ports_from_; }
  void settle() override { ::usleep(20); }  // the kernel does it within the call, or soon after

  Result<std::unique_ptr<PortListener>> listen(const Address& address) override {
    Socket socket = open_for(address);
    const int on = 1;
    (void)::setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (const int error = bind_to(socket, address)) return error_of_address(error);
    if (::listen(socket.fd(), 8) != 0) return from_errno(errno);
    return std::make_unique<KernelPortListener>(std::move(socket));
  }

  Result<std::unique_ptr<PortStream>> dial(const Address& to, const Address& from) override {
    Socket socket = open_for(to);
    Address bound = from;
    // "Any" is of the destination's family.
    if (is_any_address(from))
      bound = to.is_v4() ? Address::v4(0, 0, 0, 0, from.port) : Address{.port = from.port};
    if (from != Address{})
      if (const int error = bind_to(socket, bound)) return error_of_address(error);
    const KernelAddress at(to);
    if (::connect(socket.fd(), &at.any, at.length) != 0) {
      if (errno != EINPROGRESS) return error_of_address(errno);
      pollfd poll{socket.fd(), POLLOUT, 0};
      (void)::poll(&poll, 1, 100);
      int error = 0;
      socklen_t size = sizeof error;
      (void)::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) return error_of_address(error);
    }
    KernelAddress peer;
    if (::getpeername(socket.fd(), &peer.any, &peer.length) != 0) return Errc::timed_out;
    const Address there = peer.address();
    // The seam's: a dial that reached itself is refused, and leaves nothing behind.
    if (there == local_address_of(socket.fd())) {
      reset_on_close(socket);
      return Error{Errc::refused, ECONNREFUSED};
    }
    return std::make_unique<KernelPortStream>(std::move(socket), there);
  }

 private:
  std::uint16_t ports_from_ = fresh_ports().value();
};

}  // namespace

PortOutcomes run_ports_on_kernel(const PortScript& script) {
  KernelPortGround ground;
  return run_ports(script, ground);
}

}  // namespace twinwire::oracle
