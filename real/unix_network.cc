// SPDX-License-Identifier: Apache-2.0
#include "real/unix_network.h"

#include <cerrno>
#include <cstring>
#include <new>

#include "real/ring_stream.h"
#include "real/stream_options.h"
#include "real/unix_listen.h"

namespace twinwire::real {
namespace {

// Of its own beside RingAcceptor, since what it accepts inherits nothing from the listener: buffers are set here.
class UnixAcceptor final : public Acceptor {
 public:
  UnixAcceptor(RingCore& core, DescriptorRef socket, UnixFile file,
               const StreamOptions& options) noexcept
      : core_(&core), file_(std::move(file)), socket_(std::move(socket)), options_(options) {}
  ~UnixAcceptor() override { socket_->abort(); }

  Result<std::unique_ptr<ByteStream>> accept(Deadline deadline) override;
  Address local() const noexcept override { return {}; }

 private:
  RingCore* core_;
  UnixFile
      file_;  // goes after the socket: who dials meanwhile is refused, and no file is left that is nobody's
  DescriptorRef socket_;
  StreamOptions options_;
};

Result<std::unique_ptr<ByteStream>> UnixAcceptor::accept(Deadline deadline) {
  const DescriptorRef socket = socket_;  // this acceptor may be gone when the kernel answers
  RingCore& core = *core_;
  const StreamOptions options = options_;
  if (socket->aborted()) return Errc::shutting_down;
  io_uring_sqe request{};
  ::io_uring_prep_accept(&request, socket->fd(), nullptr, nullptr, SOCK_CLOEXEC);
  const Completion completion =
      socket->perform(Direction::in, request, deadline, "a connection to accept");
  if (completion.result < 0) {
    const Error error = error_of(completion);
    switch (error.code) {
      case Errc::timed_out:
      case Errc::canceled:
      case Errc::no_resources: return error;
      default: return Error{Errc::broken, error.os_errno};
    }
  }
  set_buffers(completion.result, options.send_buffer, options.receive_buffer);
  DescriptorRef connection = core.adopt(completion.result);
  if (!connection) return Errc::no_resources;
  std::unique_ptr<ByteStream> stream(
      new (std::nothrow) RingStream(core, std::move(connection), Address{}, Address{}));
  if (stream == nullptr) return Errc::no_resources;
  ++core.count().connections_accepted;
  return stream;
}

// What TCP has and this has not. Nagle's algorithm is not there to be switched off: no_delay is always so.
bool asks_for_tcp(const StreamOptions& options) noexcept {
  return options.congestion != nullptr || options.keepalive_idle != Duration::zero() ||
         options.user_timeout != Duration::zero() || options.device != nullptr ||
         options.local != Address{};
}

Error connect_error(const Completion& completion) noexcept {
  const Error error = error_of(completion);
  switch (error.code) {
    case Errc::timed_out:
    case Errc::canceled:
    case Errc::no_resources:
    case Errc::refused: return error;
    default: return {Errc::unreachable, error.os_errno};
  }
}

}  // namespace

Result<DescriptorRef> UnixNetwork::open(const StreamOptions& options) noexcept {
  if (asks_for_tcp(options)) return Error{Errc::unsupported, EINVAL};
  if (ring_->core().options().zero_copy_min != 0) return Error{Errc::unsupported, EOPNOTSUPP};
  // Blocking, as all that io_uring is to wait for.
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return from_errno(errno);
  set_buffers(fd, options.send_buffer, options.receive_buffer);
  DescriptorRef socket = ring_->core().adopt(fd);
  if (!socket) return Errc::no_resources;
  return socket;
}

Result<std::unique_ptr<Acceptor>> UnixNetwork::listen(const Address&,
                                                      const ListenOptions& options) {
  if (options.v6_only || options.reuse_port) return Error{Errc::unsupported, EINVAL};
  auto socket = open(options.stream);
  if (!socket) return socket.error();
  auto file = listen_on((*socket)->fd(), name_, options.backlog);
  if (!file) return file.error();
  std::unique_ptr<Acceptor> acceptor(new (std::nothrow) UnixAcceptor(
      ring_->core(), std::move(*socket), std::move(*file), options.stream));
  if (acceptor == nullptr) return Errc::no_resources;
  return acceptor;
}

Result<std::unique_ptr<ByteStream>> UnixNetwork::dial(const Address&, const StreamOptions& options,
                                                      Deadline deadline) {
  auto opened = open(options);
  if (!opened) return opened.error();
  DescriptorRef socket = std::move(*opened);
  sockaddr_un remote;
  const socklen_t length = name_.write(remote);
  io_uring_sqe request{};
  ::io_uring_prep_connect(&request, socket->fd(), reinterpret_cast<const sockaddr*>(&remote),
                          length);
  const Completion completion =
      socket->perform(Direction::out, request, deadline, "a connection to a peer");
  if (completion.result < 0) return connect_error(completion);
  std::unique_ptr<ByteStream> stream(
      new (std::nothrow) RingStream(ring_->core(), std::move(socket), Address{}, Address{}));
  if (stream == nullptr) return Errc::no_resources;
  ++ring_->core().count().connections_dialed;
  return stream;
}

std::string explain_unix(const UnixName& name, const Error& error) {
  const std::string& path = name.text();
  switch (error.os_errno) {
    case EADDRINUSE:
      return "another process listens on " + path +
             " (EADDRINUSE); stop it, or choose another name";
    case ENOTSOCK:
      return path +
             " is a file and no socket; it was left alone: choose another path, or remove it";
    case ENOENT: return path + " does not exist, or its folder does not";
    case ENOTDIR: return "a part of " + path + " is no folder";
    case EACCES:
    case EPERM:
    case EROFS:
      return path + " is not permitted here; look at the permissions of it and its folder";
    case ECONNREFUSED:
      return "nobody listens on " + path + ": start the server, or look at the name";
    case EPROTOTYPE: return path + " is a socket of another kind, not of streams";
    case EOPNOTSUPP:
      return "this ring sends without a copy (RingOptions::zero_copy_min), which Unix-domain "
             "sockets cannot";
    case EINVAL:
      if (error == Errc::unsupported)
        return "an option was asked for that Unix-domain sockets do not have: only the sizes of "
               "buffers and the backlog mean something there";
      break;
    default: break;
  }
  return path + ": " + to_string(error);
}

}  // namespace twinwire::real
