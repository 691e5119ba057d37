// SPDX-License-Identifier: Apache-2.0
#include "real/ring_acceptor.h"

#include <sys/socket.h>

#include <cerrno>
#include <new>

#include "real/memory_check.h"
#include "real/ring_core.h"
#include "real/ring_stream.h"
#include "real/socket_address.h"
#include "transport/base/plant.h"

namespace twinwire::real {
namespace {

constexpr std::size_t untaken_max = 64;  // not taken, before the accept is told to end

Error accept_error(const Completion& completion) noexcept {
  const Error error = error_of(completion);
  switch (error.code) {
    case Errc::timed_out:
    case Errc::canceled:
    case Errc::no_resources: return error;
    // accept(2) hands on whatever that one connection met in the backlog.
    default: return {Errc::broken, error.os_errno};
  }
}

}  // namespace

RingAcceptor::RingAcceptor(RingCore& core, DescriptorRef socket, const Address& local) noexcept
    : core_(&core),
      socket_(std::move(socket)),
      local_(local),
      goes_on_(core.options().multishot_accept) {}

RingAcceptor::~RingAcceptor() {
  for (; taken_ < queue_.size() && !PLANT(ring_accepted_left_open); ++taken_)
    if (queue_[taken_] >= 0) core_->kernel().close_with_reset(queue_[taken_]);
  if (going_on_) socket_->hand_over(Direction::in, core_->refuser());
  socket_->abort();
}

bool RingAcceptor::start() noexcept {
  io_uring_sqe request{};
  // Without the peer's address: the kernel has one place for the addresses of all.
  ::io_uring_prep_multishot_accept(&request, socket_->fd(), nullptr, nullptr, SOCK_CLOEXEC);
  going_on_ = socket_->start(Direction::in, request, *this);
  return going_on_;
}

void RingAcceptor::on_completion(std::int32_t result, std::uint32_t, bool last) noexcept {
  if (last) {
    socket_->ended(Direction::in);
    going_on_ = stopping_ = false;
  }
  if (PLANT(ring_last_accept_lost) && last && result >= 0) result = -ECANCELED;
  switch (result) {
    case -ECANCELED:
    case -EINTR:
    case -EAGAIN: break;
    case -EINVAL: goes_on_ = false; break;  // this kernel has no such accept
    default: try { queue_.push_back(result);
      } catch (const std::bad_alloc&) {
        if (result >= 0) core_->kernel().close_with_reset(result);
      }
  }
  if (!last && !stopping_ && queue_.size() - taken_ >= untaken_max) {
    stopping_ = true;
    socket_->stop(Direction::in);
  }
  if (accepting_ != nullptr) core_->scheduler().wake(*accepting_);
}

Result<int> RingAcceptor::accept_one(Deadline deadline, Address& peer) {
  const DescriptorRef socket = socket_;
  SocketAddress from;
  io_uring_sqe request{};
  ::io_uring_prep_accept(&request, socket->fd(), &from.any, &from.length, SOCK_CLOEXEC);
  const Completion completion =
      socket->perform(Direction::in, request, deadline, "a connection to accept");
  if (completion.result < 0) return accept_error(completion);
  mark_written(&from.v6, sizeof from.v6);
  mark_written(&from.length, sizeof from.length);
  peer = from.address();
  return completion.result;
}

Result<int> RingAcceptor::next(Deadline deadline, Address& peer) {
  const DescriptorRef socket = socket_;  // this acceptor may be gone when the wait is over
  Scheduler& scheduler = core_->scheduler();
  for (;;) {
    if (socket->aborted()) return Errc::shutting_down;
    if (const auto refused = scheduler.refuses(deadline)) return *refused;
    if (taken_ < queue_.size()) {
      const int result = queue_[taken_++];
      if (taken_ == queue_.size()) queue_.clear(), taken_ = 0;
      if (result < 0) return accept_error({result});
      peer = core_->kernel().peer_address(result);
      return result;
    }
    if (!going_on_ && !(goes_on_ && start())) return accept_one(deadline, peer);
    accepting_ = &scheduler.current();
    const Wake wake = scheduler.park(deadline, "a connection to accept");
    if (socket->aborted()) return Errc::shutting_down;
    accepting_ = nullptr;
    if (wake != Wake::ready) return to_errc(wake);
  }
}

Result<std::unique_ptr<ByteStream>> RingAcceptor::accept(Deadline deadline) {
  RingCore& core = *core_;
  Address peer;
  const Result<int> fd = next(deadline, peer);
  if (!fd) return fd.error();
  DescriptorRef connection = core.adopt(*fd);
  if (!connection) return Errc::no_resources;
  const Address local = is_wildcard(local_) ? core.kernel().local_address(*fd) : local_;
  std::unique_ptr<ByteStream> stream(new (std::nothrow)
                                         RingStream(core, std::move(connection), local, peer));
  if (stream == nullptr) return Errc::no_resources;
  ++core.count().connections_accepted;
  return stream;
}

}  // namespace twinwire::real
