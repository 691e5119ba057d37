// SPDX-License-Identifier: Apache-2.0
#include "real/descriptor.h"

#include <cerrno>
#include <new>

#include "transport/base/check.h"
#include "transport/base/plant.h"

namespace twinwire::real {
namespace {

// Whether an operation's result says that the connection is gone, as opposed to: not this time.
bool is_failure(std::int32_t result) noexcept {
  switch (-result) {
    case ECANCELED:
    case EINTR:
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
    case EINVAL:  // this kernel has no such operation (a receive that goes on); another one will do
    case EPIPE:  // a reset after the peer's end: what was read before it stands; or a failure that is already known
      return false;
    default: return true;
  }
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) operations_->kernel().close(fd_);
}

bool Descriptor::start(Direction direction, io_uring_sqe& request,
                       CompletionHandler& handler) noexcept {
  const auto d = static_cast<std::size_t>(direction);
  TWINWIRE_CHECK(!busy_[d], "two operations use one direction of a socket at the same time");
  ids_[d] = operations_->start(request, *this, handler);
  busy_[d] = ids_[d].generation != 0;
  return busy_[d];
}

void Descriptor::abort() noexcept {
  if (aborted_) return;
  aborted_ = true;
  if (in_flight_ == 0 || PLANT(ring_close_while_in_flight)) return close_with_reset();
  for (const OperationId id : ids_) operations_->cancel(id);
}

ssize_t Descriptor::send_now(const msghdr& message) noexcept {
  TWINWIRE_CHECK(!busy_[static_cast<std::size_t>(Direction::out)],
                 "two fibers use one direction of a socket at the same time");
  const ssize_t sent = operations_->kernel().send_now(fd_, message);
  if (sent < 0) note_failure(static_cast<std::int32_t>(sent));
  return sent;
}

void Descriptor::note_failure(std::int32_t result) noexcept {
  if (result == -ECONNRESET || result == -EPIPE) ++counters_->resets_met;
  if (is_failure(result) && !PLANT(ring_failure_forgotten)) failure_ = -result;
}

void Descriptor::close_with_reset() noexcept {
  if (fd_ >= 0) operations_->kernel().close_with_reset(std::exchange(fd_, -1));
}

DescriptorRef DescriptorRef::adopt(Operations& operations, Counters& counters, int fd) noexcept {
  DescriptorRef reference;
  reference.target_ = new (std::nothrow) Descriptor(operations, counters, fd);
  if (reference.target_ == nullptr) operations.kernel().close(fd);
  return reference;
}

}  // namespace twinwire::real
