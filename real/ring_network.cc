// SPDX-License-Identifier: Apache-2.0
#include "real/ring_network.h"

#include <cerrno>
#include <new>

#include "real/ring_acceptor.h"
#include "real/ring_datagram.h"
#include "real/ring_stream.h"
#include "real/socket_address.h"
#include "real/socket_option.h"
#include "real/stream_options.h"

namespace twinwire::real {
namespace {

Error last_error() noexcept { return from_errno(errno); }

// Of a datagram socket that does not ask otherwise; the kernel gives no more than net.core.rmem_max. Its own default of
// 208 KiB holds less than one burst of a fast sender, and what does not fit is lost.
constexpr std::size_t datagram_receive_buffer = std::size_t{2} << 20;

// What bind(2) and connect(2) say of an address that this socket cannot have: a source of another family, loopback to
// another host.
Error error_of_address(const Error& error) noexcept {
  const bool address = error.os_errno == EINVAL || error.os_errno == EAFNOSUPPORT;
  return address ? Error{Errc::unreachable, error.os_errno} : error;
}

// "Any" of the family of `remote`.
Address source_for(const Address& remote, const Address& asked) noexcept {
  if (!is_wildcard(asked)) return asked;
  return remote.is_v4() ? Address::v4(0, 0, 0, 0, asked.port) : Address{.port = asked.port};
}

bool bind_to(int fd, const Address& address) noexcept {
  const SocketAddress local(address);
  return ::bind(fd, &local.any, local.length) == 0;
}

}  // namespace

Result<DescriptorRef> RingNetwork::open(const Address& address, int type) noexcept {
  // Blocking: on a non-blocking socket io_uring hands EAGAIN on instead of waiting.
  const int fd = ::socket(address.is_v4() ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);
  if (fd < 0) return last_error();
  DescriptorRef socket = ring_->core().adopt(fd);
  if (!socket) return Errc::no_resources;
  return socket;
}

Result<std::unique_ptr<Acceptor>> RingNetwork::listen(const Address& address,
                                                      const ListenOptions& options) {
  auto socket = open(address, SOCK_STREAM);
  if (!socket) return socket.error();
  const int fd = (*socket)->fd();
  // Connections of an earlier run that linger in TIME_WAIT must not keep the port.
  (void)set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (options.reuse_port && !set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) return option_error();
  if (auto set = set_v6_only(fd, address, options.v6_only); !set) return set.error();
  // Inherited by what is accepted.
  if (auto set = set_stream_options(fd, options.stream); !set) return set.error();
  if (!bind_to(fd, address) || ::listen(fd, options.backlog) != 0) return last_error();
  const Address local = local_address(fd);
  std::unique_ptr<Acceptor> acceptor(new (std::nothrow)
                                         RingAcceptor(ring_->core(), std::move(*socket), local));
  if (acceptor == nullptr) return Errc::no_resources;
  return acceptor;
}

Result<std::unique_ptr<ByteStream>> RingNetwork::dial(const Address& address,
                                                      const StreamOptions& options,
                                                      Deadline deadline) {
  auto opened = open(address, SOCK_STREAM);
  if (!opened) return opened.error();
  DescriptorRef socket = std::move(*opened);
  if (auto set = set_stream_options(socket->fd(), options); !set) return set.error();
  if (options.local != Address{} && !bind_to(socket->fd(), source_for(address, options.local)))
    return error_of_address(last_error());

  const SocketAddress remote(address);
  io_uring_sqe request{};
  ::io_uring_prep_connect(&request, socket->fd(), &remote.any, remote.length);
  const Completion completion =
      socket->perform(Direction::out, request, deadline, "a connection to a peer");
  if (completion.result == -ETIMEDOUT) return Error{Errc::timed_out, ETIMEDOUT};
  if (completion.result < 0) return error_of_address(error_of(completion));

  const Address local = local_address(socket->fd());
  const Address peer = is_wildcard(address) ? peer_address(socket->fd()) : address;
  if (local == peer) {
    // By a reset: the port must not linger for a minute.
    const linger none{1, 0};
    (void)::setsockopt(socket->fd(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
    return Error{Errc::refused, ECONNREFUSED};
  }
  std::unique_ptr<ByteStream> stream(new (std::nothrow)
                                         RingStream(ring_->core(), std::move(socket), local, peer));
  if (stream == nullptr) return Errc::no_resources;
  ++ring_->core().count().connections_dialed;
  return stream;
}

Result<std::unique_ptr<DatagramSocket>> RingNetwork::bind(const Address& address,
                                                          const DatagramOptions& options) {
  auto socket = open(address, SOCK_DGRAM);
  if (!socket) return socket.error();
  const int fd = (*socket)->fd();
  set_buffers(fd, options.send_buffer,
              options.receive_buffer != 0 ? options.receive_buffer : datagram_receive_buffer);
  RingDatagram::set_options(fd, address.is_v4());
  if (auto set = set_v6_only(fd, address, options.v6_only); !set) return set.error();
  if (auto set = bind_to_device(fd, options.device); !set) return set.error();
  if (!bind_to(fd, address)) return last_error();
  const Address local = local_address(fd);
  std::unique_ptr<DatagramSocket> bound(new (std::nothrow)
                                            RingDatagram(ring_->core(), std::move(*socket), local));
  if (bound == nullptr) return Errc::no_resources;
  return bound;
}

}  // namespace twinwire::real
