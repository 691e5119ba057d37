// SPDX-License-Identifier: Apache-2.0
#include "real/ring_acceptor.h"

#include <sys/socket.h>

#include <new>

#include "real/memory_check.h"
#include "real/ring.h"
#include "real/ring_stream.h"
#include "real/socket_address.h"

namespace twinwire::real {

RingAcceptor::RingAcceptor(Ring& ring, DescriptorRef socket, const Address& local) noexcept
    : ring_(&ring), socket_(std::move(socket)), local_(local) {}

RingAcceptor::~RingAcceptor() { socket_->abort(); }

Result<std::unique_ptr<ByteStream>> RingAcceptor::accept(Deadline deadline) {
  const DescriptorRef socket = socket_;
  Ring& ring = *ring_;
  if (socket->aborted()) return Errc::shutting_down;
  SocketAddress peer;
  io_uring_sqe request{};
  ::io_uring_prep_accept(&request, socket->fd(), &peer.any, &peer.length, SOCK_CLOEXEC);
  const Completion completion =
      socket->perform(Direction::in, request, deadline, "a connection to accept");
  if (completion.result < 0) {
    const Error error = error_of(completion);
    switch (error.code) {
      case Errc::timed_out:
      case Errc::canceled:
      case Errc::no_resources: return error;
      // accept(2) hands on whatever that one connection met in the backlog.
      default: return Error{Errc::broken, error.os_errno};
    }
  }
  mark_written(&peer.v6, sizeof peer.v6);
  mark_written(&peer.length, sizeof peer.length);
  DescriptorRef connection = ring.adopt(completion.result);
  if (!connection) return Errc::no_resources;
  const Address local = is_wildcard(local_) ? local_address(completion.result) : local_;
  std::unique_ptr<ByteStream> stream(
      new (std::nothrow) RingStream(ring, std::move(connection), local, peer.address()));
  if (stream == nullptr) return Errc::no_resources;
  ++ring.count().connections_accepted;
  return stream;
}

}  // namespace twinwire::real
