// SPDX-License-Identifier: Apache-2.0
// As real/ring_network.cc has it, without the system calls that set a socket up.
#include "props/fake_kernel/fake_network.h"

#include <cerrno>

#include "props/fake_kernel/watch.h"
#include "real/ring_acceptor.h"
#include "real/ring_stream.h"
#include "real/socket_address.h"

namespace twinwire::fake {

using real::Completion;
using real::DescriptorRef;

Result<std::unique_ptr<Acceptor>> FakeNetwork::listen(const Address& address,
                                                      const ListenOptions& options) {
  const int fd = kernel_->open_socket();
  DescriptorRef socket = core_->adopt(fd);
  if (!socket) return Errc::no_resources;
  if (const int error = kernel_->listen(fd, address, options.backlog, options.stream); error != 0)
    return from_errno(error);
  FakeFile& file = *kernel_->file(fd);
  return watch(std::make_unique<real::RingAcceptor>(*core_, std::move(socket), file.local),
               *kernel_, *core_, file);
}

Result<std::unique_ptr<ByteStream>> FakeNetwork::dial(const Address& address,
                                                      const StreamOptions& options,
                                                      Deadline deadline) {
  DescriptorRef socket = core_->adopt(kernel_->open_socket());
  if (!socket) return Errc::no_resources;
  const int fd = socket->fd();
  kernel_->bind(fd, address_, options);
  FakeFile& file = *kernel_->file(fd);

  const real::SocketAddress remote(address);
  io_uring_sqe request{};
  ::io_uring_prep_connect(&request, fd, &remote.any, remote.length);
  const Completion completion =
      socket->perform(Direction::out, request, deadline, "a connection to a peer");
  if (completion.result < 0) return error_of(completion);
  const Address local = kernel_->local_address(fd);
  return watch(std::make_unique<real::RingStream>(*core_, std::move(socket), local, address),
               *kernel_, *core_, file);
}

}  // namespace twinwire::fake
