// SPDX-License-Identifier: Apache-2.0
#include "real/ring_stream.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "real/ring_core.h"
#include "real/stream_error.h"
#include "transport/base/check.h"
#include "transport/base/plant.h"

namespace twinwire::real {
namespace {

constexpr std::size_t pieces_max = 1024;  // IOV_MAX
constexpr std::size_t merged_max = 16;
constexpr std::uint8_t direct_in_a_row_max = 8;  // then others get their turn
constexpr std::uint8_t not_directly = 16;

// The bytes of a write, and its pieces with neighbours in memory as one: what was received together and goes back
// together is one piece, which the kernel copies at once.
struct Merged {
  std::size_t bytes = 0;
  std::size_t count = 0;  // merged_max + 1: they are more than fit
  std::array<iovec, merged_max> pieces;

  explicit Merged(std::span<const iovec> all) noexcept {
    const std::byte* end = nullptr;
    for (const iovec& piece : all) {
      bytes += piece.iov_len;
      if (count > merged_max) continue;
      const auto* begin = static_cast<const std::byte*>(piece.iov_base);
      if (begin == end && count != 0)
        pieces[count - 1].iov_len += piece.iov_len;
      else if (++count <= merged_max)
        pieces[count - 1] = piece;
      end = begin + piece.iov_len;
    }
  }
};

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
  if (handed_over_) return;  // the connection lives on; this descriptor of it closes
  // Once both ends have ended there is nothing to reset; dropping the last reference closes.
  if (!(receiver_.end_was_read() && write_ended_)) abort();
}

void RingStream::abort() noexcept {
  if (socket_->aborted()) return;
  ++core_->count().resets_sent;
  socket_->abort();
  receiver_.aborted();
}

bool RingStream::writes_directly() const noexcept {
  return direct_in_a_row_ < direct_in_a_row_max && not_directly_ == 0 && core_->is_quiet() &&
         core_->options().direct_writes;
}

Result<std::size_t> RingStream::write(std::span<const iovec> pieces, Deadline deadline) {
  TWINWIRE_CHECK(pieces.size() <= pieces_max, "a write takes at most 1,024 pieces");
  Merged merged(pieces);
  const std::size_t total = merged.bytes;
  TWINWIRE_CHECK(total > 0, "a write hands over at least one byte");

  const DescriptorRef socket = socket_;  // this stream may be gone when the kernel answers
  Counters& counters = core_->count();
  if (socket->aborted() || write_ended_) return Errc::broken;
  msghdr message{};
  const bool fits = merged.count <= merged_max;
  message.msg_iov = fits ? merged.pieces.data() : const_cast<iovec*>(pieces.data());
  message.msg_iovlen = fits ? merged.count : pieces.size();
  const bool zero_copy = core_->sends_without_copy(total);
  if (!zero_copy && writes_directly()) {
    if (const auto refused = core_->scheduler().refuses(deadline)) return *refused;
    const ssize_t sent = socket->send_now(message);
    ++counters.direct_writes;
    if (sent != static_cast<ssize_t>(total)) not_directly_ = not_directly;
    if (sent > 0) {
      ++direct_in_a_row_;
      return written(static_cast<std::size_t>(sent), total);
    }
    if (sent != -EAGAIN && sent != -EINTR) return stream_error({static_cast<std::int32_t>(sent)});
  } else if (not_directly_ != 0) {
    --not_directly_;
  }
  direct_in_a_row_ = 0;
  io_uring_sqe request{};
  // Without MSG_WAITALL: the kernel's own resumption of short writes is not always right (liburing issue 1337), and
  // measured it brings nothing.
  constexpr int flags = MSG_NOSIGNAL;
  if (merged.count == 1 && !zero_copy) {
    ::io_uring_prep_send(&request, socket->fd(), merged.pieces[0].iov_base, total, flags);
  } else {
    ::io_uring_prep_sendmsg(&request, socket->fd(), &message, flags);
    if (zero_copy) request.opcode = IORING_OP_SENDMSG_ZC;
  }
  const Completion completion =
      socket->perform(Direction::out, request, deadline, "room to write into a stream");
  if (socket->aborted()) return Errc::broken;
  if (completion.result < 0) return stream_error(completion);
  if (zero_copy) ++counters.zero_copy_writes;
  return written(static_cast<std::size_t>(completion.result), total);
}

std::size_t RingStream::written(std::size_t n, std::size_t total) noexcept {
  core_->count().bytes_sent += n;
  if (n < total) ++core_->count().short_writes;
  if (PLANT(ring_short_send_is_whole)) return total;
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
