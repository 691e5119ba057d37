// SPDX-License-Identifier: Apache-2.0
#include "real/handed_over.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "real/ring.h"
#include "real/ring_stream.h"
#include "transport/base/check.h"

namespace twinwire::real {

Result<HandedOver> HandedOver::take(std::unique_ptr<ByteStream>& stream, Deadline deadline) {
  auto* const own = dynamic_cast<RingStream*>(stream.get());
  if (own == nullptr) return Errc::unsupported;
  auto connection = own->hand_over(deadline);
  if (connection) stream.reset();
  return connection;
}

Result<std::unique_ptr<ByteStream>> HandedOver::adopt(Ring& ring) && {
  TWINWIRE_CHECK(!empty(), "a connection was adopted twice");
  return RingStream::adopt(ring.core(), ring.buffers(), *this);
}

HandedOver& HandedOver::operator=(HandedOver&& other) noexcept {
  HandedOver taken(std::move(other));
  std::swap(fd_, taken.fd_);
  std::swap(unread_, taken.unread_);
  std::swap(unread_size_, taken.unread_size_);
  std::swap(local_, taken.local_);
  std::swap(peer_, taken.peer_);
  std::swap(read_ended_, taken.read_ended_);
  std::swap(write_ended_, taken.write_ended_);
  return *this;
}

HandedOver::~HandedOver() {
  if (fd_ >= 0) Kernel::native().close_with_reset(fd_);
}

Result<HandedOver> RingStream::hand_over(Deadline deadline) {
  if (socket_->aborted()) return Errc::broken;
  if (auto rests = receiver_.come_to_rest(deadline); !rests) return rests.error();
  if (socket_->in_use(Direction::out)) return Errc::invalid;
  if (socket_->failure() != 0) return Error{Errc::broken, socket_->failure()};
  HandedOver taken;
  taken.unread_size_ = receiver_.unread();
  if (taken.unread_size_ != 0) {
    taken.unread_.reset(new (std::nothrow) std::byte[taken.unread_size_]);
    if (taken.unread_ == nullptr) return Errc::no_resources;
    receiver_.copy_unread(taken.unread_.get());
  }
  taken.local_ = local_;
  taken.peer_ = peer_;
  taken.read_ended_ = receiver_.end_was_read();
  taken.write_ended_ = write_ended_;
  taken.fd_ = ::fcntl(socket_->fd(), F_DUPFD_CLOEXEC, 0);
  if (taken.fd_ < 0) return from_errno(errno);
  handed_over_ = true;
  return taken;
}

Result<std::unique_ptr<ByteStream>> RingStream::adopt(RingCore& core, BufferPool& buffers,
                                                      HandedOver& connection) {
  // A duplicate, so that a failure leaves `connection` what it was.
  const int fd = ::fcntl(connection.fd_, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return from_errno(errno);
  DescriptorRef socket = core.adopt(fd);
  if (!socket) return Errc::no_resources;
  std::unique_ptr<RingStream> stream(
      new (std::nothrow) RingStream(core, std::move(socket), connection.local_, connection.peer_));
  if (stream == nullptr) return Errc::no_resources;
  ++core.count().connections_adopted;
  if (const std::size_t size = connection.unread_size_; size != 0) {
    Block* const block = buffers.allocate(size);
    if (block == nullptr) {
      stream->handed_over_ = true;  // not this one: `connection` still is
      return Errc::no_resources;
    }
    std::memcpy(block->data, connection.unread_.get(), size);
    stream->receiver_.push(block, size);
  }
  stream->write_ended_ = connection.write_ended_;
  if (connection.read_ended_) stream->receiver_.note_end_was_read();
  core.kernel().close(std::exchange(connection.fd_, -1));
  connection.unread_.reset();
  connection.unread_size_ = 0;
  return std::unique_ptr<ByteStream>(std::move(stream));
}

}  // namespace twinwire::real
