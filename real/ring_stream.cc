// SPDX-License-Identifier: Apache-2.0
#include "real/ring_stream.h"

#include <sys/socket.h>

#include <cerrno>

#include "real/memory_check.h"
#include "real/ring.h"
#include "transport/base/check.h"

namespace twinwire::real {
namespace {

constexpr std::size_t pieces_max = 1024;  // IOV_MAX

// The errors of a stream that is connected: whatever the kernel says beyond "not now" means that it is lost.
Error stream_error(const Completion& completion) noexcept {
  const Error error = error_of(completion);
  switch (error.code) {
    case Errc::timed_out:
    case Errc::canceled:
    case Errc::no_resources: return error;
    default: return {Errc::broken, error.os_errno};
  }
}

}  // namespace

RingStream::RingStream(Ring& ring, DescriptorRef socket, const Address& local,
                       const Address& peer) noexcept
    : ring_(&ring), socket_(std::move(socket)), local_(local), peer_(peer) {}

RingStream::~RingStream() {
  ++ring_->count().connections_closed;
  // Once both ends have ended there is nothing to reset; dropping the last reference closes.
  if (!(end_was_read_ && write_ended_)) abort();
}

void RingStream::abort() noexcept {
  if (socket_->aborted()) return;
  ++ring_->count().resets_sent;
  socket_->abort();
  if (starved_ != nullptr) ring_->scheduler().wake(*starved_);
}

Result<void> RingStream::wait_for_buffer(Deadline deadline) {
  const DescriptorRef socket = socket_;  // this stream may be gone when the wait is over
  Scheduler& scheduler = ring_->scheduler();
  if (const auto refused = scheduler.refuses(deadline)) return *refused;
  ++ring_->count().buffers_short;
  starved_ = &scheduler.current();
  const Wake wake = ring_->receive_buffers().wait(scheduler, deadline);
  if (socket->aborted()) return Errc::broken;
  starved_ = nullptr;
  if (wake != Wake::ready) return to_errc(wake);
  return {};
}

Result<std::size_t> RingStream::write(std::span<const iovec> pieces, Deadline deadline) {
  TWINWIRE_CHECK(pieces.size() <= pieces_max, "a write takes at most 1,024 pieces");
  std::size_t total = 0;
  for (const iovec& piece : pieces) total += piece.iov_len;
  TWINWIRE_CHECK(total > 0, "a write hands over at least one byte");

  const DescriptorRef socket = socket_;  // this stream may be gone when the kernel answers
  Counters& counters = ring_->count();
  if (socket->aborted() || write_ended_) return Errc::broken;
  io_uring_sqe request{};
  msghdr message{};
  if (pieces.size() == 1) {
    ::io_uring_prep_send(&request, socket->fd(), pieces[0].iov_base, total, MSG_NOSIGNAL);
  } else {
    message.msg_iov = const_cast<iovec*>(pieces.data());
    message.msg_iovlen = pieces.size();
    ::io_uring_prep_sendmsg(&request, socket->fd(), &message, MSG_NOSIGNAL);
  }
  const Completion completion =
      socket->perform(Direction::out, request, deadline, "room to write into a stream");
  if (socket->aborted()) return Errc::broken;
  if (completion.result < 0) return stream_error(completion);
  const auto n = static_cast<std::size_t>(completion.result);
  counters.bytes_sent += n;
  if (n < total) ++counters.short_writes;
  return n;
}

Result<Slice> RingStream::read(Deadline deadline) {
  const DescriptorRef socket = socket_;
  ReceiveBuffers& buffers = ring_->receive_buffers();
  Counters& counters = ring_->count();
  for (;;) {
    if (socket->aborted()) return Errc::broken;
    io_uring_sqe request{};
    Block* block = nullptr;
    if (buffers.provided()) {
      if (!buffers.begin_receive()) {
        if (auto waited = wait_for_buffer(deadline); !waited) return waited.error();
        continue;
      }
      ::io_uring_prep_recv(&request, socket->fd(), nullptr, 0, 0);
      request.flags |= IOSQE_BUFFER_SELECT;
      request.buf_group = ReceiveBuffers::group;
    } else {
      block = buffers.allocate();
      if (block == nullptr) {
        if (auto waited = wait_for_buffer(deadline); !waited) return waited.error();
        continue;
      }
      ::io_uring_prep_recv(&request, socket->fd(), block->data, block->capacity, 0);
    }
    if (!more_waits_) request.ioprio |= IORING_RECVSEND_POLL_FIRST;
    const Completion completion =
        socket->perform(Direction::in, request, deadline, "bytes from a stream");
    if (block == nullptr) block = buffers.end_receive(completion.flags);
    const std::size_t n = completion.result > 0 ? static_cast<std::size_t>(completion.result) : 0;
    Slice bytes(block, block != nullptr ? block->data : nullptr, n);  // drops it on every way out
    if (socket->aborted()) return Errc::broken;
    if (n > 0) {
      more_waits_ = (completion.flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
      counters.bytes_received += n;
      mark_written(bytes.data(), n);
      return bytes;
    }
    // Others used up what was provided: provide more. Only if there are no more is that an error.
    if (completion.result == -ENOBUFS && buffers.provided()) {
      ++counters.buffers_short;
      more_waits_ = true;
      continue;
    }
    const Result<void> end = end_or_error(*socket.operator->(), completion);
    if (!end) return end.error();
    return Slice();
  }
}

Result<std::size_t> RingStream::read_into(std::span<std::byte> into, Deadline deadline) {
  TWINWIRE_CHECK(!into.empty(), "a read needs room for at least one byte");
  const DescriptorRef socket = socket_;
  if (socket->aborted()) return Errc::broken;
  io_uring_sqe request{};
  ::io_uring_prep_recv(&request, socket->fd(), into.data(), into.size(), 0);
  if (!more_waits_) request.ioprio |= IORING_RECVSEND_POLL_FIRST;
  const Completion completion =
      socket->perform(Direction::in, request, deadline, "bytes from a stream");
  if (socket->aborted()) return Errc::broken;
  if (completion.result > 0) {
    const auto n = static_cast<std::size_t>(completion.result);
    more_waits_ = (completion.flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
    ring_->count().bytes_received += n;
    mark_written(into.data(), n);
    return n;
  }
  const Result<void> end = end_or_error(*socket.operator->(), completion);
  if (!end) return end.error();
  return std::size_t{0};
}

Result<void> RingStream::end_or_error(Descriptor& socket, const Completion& completion) noexcept {
  if (completion.result < 0) return stream_error(completion);
  // A reset that the writer met reads as a clean end afterwards: it is not one.
  if (socket.failure() != 0) return Error{Errc::broken, socket.failure()};
  end_was_read_ = true;
  return {};
}

Result<void> RingStream::shutdown_write(Deadline) {
  if (socket_->aborted()) return Errc::broken;
  if (write_ended_) return {};
  write_ended_ = true;
  // Directly: as an operation of the ring it would start a thread.
  if (::shutdown(socket_->fd(), SHUT_WR) != 0) return Error{Errc::broken, errno};
  return {};
}

}  // namespace twinwire::real
