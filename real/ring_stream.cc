// SPDX-License-Identifier: Apache-2.0
#include "real/ring_stream.h"

#include <sys/socket.h>

#include <cerrno>

#include "real/ring_core.h"
#include "real/stream_error.h"
#include "transport/base/check.h"

namespace twinwire::real {
namespace {

constexpr std::size_t pieces_max = 1024;  // IOV_MAX

}  // namespace

RingStream::RingStream(RingCore& core, DescriptorRef socket, const Address& local,
                       const Address& peer) noexcept
    : core_(&core),
      socket_(std::move(socket)),
      receiver_(core, socket_),
      local_(local),
      peer_(peer) {}

RingStream::~RingStream() {
  ++core_->count().connections_closed;
  // Once both ends have ended there is nothing to reset; dropping the last reference closes.
  if (!(receiver_.end_was_read() && write_ended_)) abort();
}

void RingStream::abort() noexcept {
  if (socket_->aborted()) return;
  ++core_->count().resets_sent;
  socket_->abort();
  receiver_.aborted();
}

Result<std::size_t> RingStream::write(std::span<const iovec> pieces, Deadline deadline) {
  TWINWIRE_CHECK(pieces.size() <= pieces_max, "a write takes at most 1,024 pieces");
  std::size_t total = 0;
  for (const iovec& piece : pieces) total += piece.iov_len;
  TWINWIRE_CHECK(total > 0, "a write hands over at least one byte");

  const DescriptorRef socket = socket_;  // this stream may be gone when the kernel answers
  Counters& counters = core_->count();
  if (socket->aborted() || write_ended_) return Errc::broken;
  io_uring_sqe request{};
  msghdr message{};
  const bool zero_copy = core_->sends_without_copy(total);
  if (pieces.size() == 1 && !zero_copy) {
    ::io_uring_prep_send(&request, socket->fd(), pieces[0].iov_base, total, MSG_NOSIGNAL);
  } else {
    message.msg_iov = const_cast<iovec*>(pieces.data());
    message.msg_iovlen = pieces.size();
    ::io_uring_prep_sendmsg(&request, socket->fd(), &message, MSG_NOSIGNAL);
    if (zero_copy) request.opcode = IORING_OP_SENDMSG_ZC;
  }
  const Completion completion =
      socket->perform(Direction::out, request, deadline, "room to write into a stream");
  if (socket->aborted()) return Errc::broken;
  if (completion.result < 0) return stream_error(completion);
  const auto n = static_cast<std::size_t>(completion.result);
  counters.bytes_sent += n;
  if (n < total) ++counters.short_writes;
  if (zero_copy) ++counters.zero_copy_writes;
  return n;
}

Result<void> RingStream::shutdown_write(Deadline) {
  if (socket_->aborted()) return Errc::broken;
  if (write_ended_) return {};
  write_ended_ = true;
  // Directly: as an operation of the ring it would start a thread.
  if (const int error = socket_->shutdown_write(); error != 0) return Error{Errc::broken, error};
  return {};
}

}  // namespace twinwire::real
