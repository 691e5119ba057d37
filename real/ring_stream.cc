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

constexpr int send_flags = MSG_NOSIGNAL;  // without MSG_WAITALL: see docs/ring.md, "Writing"

// Where the bytes of a write lie.
struct Extent {
  const std::byte* begin = nullptr;
  std::size_t bytes = 0;
  bool adjacent = true;  // one piece after the other: to the kernel they are one

  explicit Extent(std::span<const iovec> pieces) noexcept {
    std::size_t i = 0;
    for (; i < pieces.size() && adjacent; ++i) {
      const auto* at = static_cast<const std::byte*>(pieces[i].iov_base);
      if (bytes == 0)
        begin = at;
      else
        adjacent = at == begin + bytes || pieces[i].iov_len == 0;
      bytes += pieces[i].iov_len;
    }
    for (; i < pieces.size(); ++i) bytes += pieces[i].iov_len;
  }
};

// The pieces of a write, those that are neighbours in memory as one: what was received together and goes back together
// is copied at once.
class Merged {
 public:
  explicit Merged(std::span<const iovec> all) noexcept {
    const std::size_t count = merge(all);
    const auto pieces = count != 0 ? std::span<const iovec>(pieces_).first(count) : all;
    message_.msg_iov = const_cast<iovec*>(pieces.data());
    message_.msg_iovlen = pieces.size();
  }
  // Valid as long as this and what it was made of.
  const msghdr& message() const noexcept { return message_; }

 private:
  // How many they come to; 0: more than there is room for.
  std::size_t merge(std::span<const iovec> all) noexcept {
    std::size_t count = 0;
    const std::byte* end = nullptr;
    for (const iovec& piece : all) {
      const auto* begin = static_cast<const std::byte*>(piece.iov_base);
      if (begin == end && count != 0)
        pieces_[count - 1].iov_len += piece.iov_len;
      else if (count == merged_max)
        return 0;
      else
        pieces_[count++] = piece;
      end = begin + piece.iov_len;
    }
    return count;
  }

  msghdr message_{};
  std::array<iovec, merged_max> pieces_;
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
  const Extent extent(pieces);
  TWINWIRE_CHECK(extent.bytes > 0, "a write hands over at least one byte");
  if (socket_->aborted() || write_ended_) return Errc::broken;

  const bool zero_copy = core_->sends_without_copy(extent.bytes);
  if (!zero_copy && writes_directly()) {
    if (auto done = write_directly(pieces, extent.bytes, deadline)) return *done;
  } else if (not_directly_ != 0) {
    --not_directly_;
  }
  direct_in_a_row_ = 0;
  if (zero_copy || !extent.adjacent) return write_pieces(pieces, extent.bytes, zero_copy, deadline);
  io_uring_sqe request{};
  ::io_uring_prep_send(&request, socket_->fd(), extent.begin, extent.bytes, send_flags);
  return submit(request, extent.bytes, deadline);
}

std::optional<Result<std::size_t>> RingStream::write_directly(std::span<const iovec> pieces,
                                                              std::size_t total,
                                                              Deadline deadline) {
  if (const auto refused = core_->scheduler().refuses(deadline)) return *refused;
  const Merged merged(pieces);
  const ssize_t sent = socket_->send_now(merged.message());
  ++core_->count().direct_writes;
  if (sent != static_cast<ssize_t>(total)) not_directly_ = not_directly;
  if (sent > 0) {
    ++direct_in_a_row_;
    return written(static_cast<std::size_t>(sent), total);
  }
  if (sent != -EAGAIN && sent != -EINTR) return stream_error({static_cast<std::int32_t>(sent)});
  return std::nullopt;
}

Result<std::size_t> RingStream::write_pieces(std::span<const iovec> pieces, std::size_t total,
                                             bool zero_copy, Deadline deadline) {
  const Merged merged(pieces);
  io_uring_sqe request{};
  ::io_uring_prep_sendmsg(&request, socket_->fd(), &merged.message(), send_flags);
  if (!zero_copy) return submit(request, total, deadline);
  request.opcode = IORING_OP_SENDMSG_ZC;
  auto sent = submit(request, total, deadline);
  if (sent) ++core_->count().zero_copy_writes;
  return sent;
}

inline Result<std::size_t> RingStream::submit(io_uring_sqe& request, std::size_t total,
                                              Deadline deadline) {
  const DescriptorRef socket = socket_;  // this stream may be gone when the kernel answers
  const Completion completion =
      socket->perform(Direction::out, request, deadline, "room to write into a stream");
  if (socket->aborted()) return Errc::broken;
  if (completion.result < 0) return stream_error(completion);
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
