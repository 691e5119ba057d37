// SPDX-License-Identifier: Apache-2.0
#include "real/stream_receiver.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "real/memory_check.h"
#include "real/ring_core.h"
#include "real/stream_error.h"
#include "transport/base/check.h"
#include "transport/base/plant.h"

namespace twinwire::real {
namespace {

constexpr std::uint16_t calm_before_going_on = 4;
constexpr std::uint16_t queued_max = 4;  // unread, before the receive is told to end
constexpr std::uint16_t full_max = 2;

}  // namespace

StreamReceiver::~StreamReceiver() {
  if (going_on_) socket_->hand_over(Direction::in, core_->small_receive_buffers());
  clear();
}

void StreamReceiver::aborted() noexcept {
  clear();
  if (reader_ != nullptr) core_->scheduler().wake(*reader_);
}

// --- What has arrived and was not read ------------------------------------------------------------------------------

void StreamReceiver::push(Block* block, std::size_t size) noexcept {
  block->next = nullptr;
  block->begin = 0;
  block->end = static_cast<std::uint32_t>(size);
  (last_ != nullptr ? last_->next : first_) = block;
  last_ = block;
  ++queued_;
}

Slice StreamReceiver::take_front() noexcept {
  Block* block = first_;
  first_ = block->next;
  if (first_ == nullptr) last_ = nullptr;
  --queued_;
  return {block, block->data + block->begin, std::size_t{block->end} - block->begin};
}

void StreamReceiver::clear() noexcept {
  while (first_ != nullptr) take_front().release();
}

// --- The receive that goes on ---------------------------------------------------------------------------------------

bool StreamReceiver::may_go_on() const noexcept {
  return calm_ >= calm_before_going_on && core_->small_receive_buffers().provided();
}

bool StreamReceiver::start() noexcept {
  ReceiveBuffers& buffers = core_->small_receive_buffers();
  if (!buffers.begin_multishot()) return false;
  io_uring_sqe request{};
  ::io_uring_prep_recv_multishot(&request, socket_->fd(), nullptr, 0, 0);
  request.flags |= IOSQE_BUFFER_SELECT;
  request.buf_group = buffers.group();
  going_on_ = socket_->start(Direction::in, request, *this);
  if (!going_on_) buffers.end_multishot();
  full_ = 0;
  return going_on_;
}

void StreamReceiver::stop() noexcept {
  calm_ = 0;
  if (stopping_) return;
  stopping_ = true;
  socket_->stop(Direction::in);
}

void StreamReceiver::on_completion(std::int32_t result, std::uint32_t flags, bool last) noexcept {
  ReceiveBuffers& buffers = core_->small_receive_buffers();
  Block* block = buffers.take_completed(flags);
  if (PLANT(ring_multishot_believed_alive) && result > 0) last = false;
  if (PLANT(ring_rearmed_on_result)) last = true;
  if (last) {
    buffers.end_multishot();
    socket_->ended(Direction::in);
    going_on_ = stopping_ = false;
    more_waits_ = true;
  }
  if (result > 0 && !socket_->aborted()) {
    const auto n = static_cast<std::size_t>(result);
    mark_written(block->data, n);
    core_->count().bytes_received += n;
    push(block, n);
    full_ = n == buffers.buffer_size() ? full_ + 1 : 0;
    if (!last && (queued_ >= queued_max || full_ >= full_max)) stop();
  } else {
    if (block != nullptr) Slice(block, nullptr, 0).release();
    switch (result) {
      case -ENOBUFS:
        if (PLANT(ring_no_buffers_is_end)) over_ = true;
        if (PLANT(ring_no_buffers_never_resumed)) return;
        ++core_->count().buffers_short;
        buffers.ran_short();
        break;
      case -EINVAL:  // this kernel has no such receive
        buffers.withdraw();
        break;
      case -ECANCELED:
      case -EINTR:
      case -EAGAIN: break;
      default: over_ = result <= 0; result_ = result;
    }
  }
  if (reader_ != nullptr) core_->scheduler().wake(*reader_);
}

inline Result<void> StreamReceiver::wait(const DescriptorRef& socket, Deadline deadline) {
  Scheduler& scheduler = core_->scheduler();
  reader_ = &scheduler.current();
  const Wake wake = scheduler.park(deadline, "bytes from a stream");
  if (socket->aborted()) return Errc::broken;
  reader_ = nullptr;
  if (wake != Wake::ready) return to_errc(wake);
  return {};
}

// --- From one ring to another ---------------------------------------------------------------------------------------

Result<void> StreamReceiver::come_to_rest(Deadline deadline) {
  if (reader_ != nullptr) return Errc::invalid;
  const DescriptorRef socket = socket_;
  while (going_on_) {
    if (const auto refused = core_->scheduler().refuses(deadline)) return *refused;
    stop();
    if (auto waited = wait(socket, deadline); !waited) return waited.error();
  }
  if (socket->in_use(Direction::in)) return Errc::invalid;
  if (over_ && result_ < 0) return stream_error({result_});
  return {};
}

std::size_t StreamReceiver::unread() const noexcept {
  std::size_t size = 0;
  for (const Block* block = first_; block != nullptr; block = block->next)
    size += block->end - block->begin;
  return size;
}

void StreamReceiver::copy_unread(std::byte* into) const noexcept {
  for (const Block* block = first_; block != nullptr; block = block->next) {
    const std::size_t n = block->end - block->begin;
    std::memcpy(into, block->data + block->begin, n);
    into += n;
  }
}

// --- One receive at a time ------------------------------------------------------------------------------------------

Result<void> StreamReceiver::wait_for_buffer(Deadline deadline) {
  const DescriptorRef socket = socket_;
  Scheduler& scheduler = core_->scheduler();
  if (const auto refused = scheduler.refuses(deadline)) return *refused;
  ++core_->count().buffers_short;
  reader_ = &scheduler.current();
  ReceiveBuffers& buffers = core_->receive_buffers();
  const Wake wake = buffers.wait(scheduler, deadline);
  if (socket->aborted()) {
    buffers.pass_on();
    return Errc::broken;
  }
  reader_ = nullptr;
  if (wake != Wake::ready) return to_errc(wake);
  return {};
}

void StreamReceiver::note_received(std::size_t n, std::uint32_t flags, bool waited) noexcept {
  const bool little = waited && n <= small_receive_buffer / 2;
  calm_ = little ? static_cast<std::uint16_t>(std::min<int>(calm_ + 1, calm_before_going_on)) : 0;
  more_waits_ = (flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
  core_->count().bytes_received += n;
}

Result<Slice> StreamReceiver::receive(Deadline deadline) {
  const DescriptorRef socket = socket_;
  ReceiveBuffers& buffers = core_->receive_buffers();
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
      request.buf_group = buffers.group();
    } else {
      block = buffers.allocate();
      if (block == nullptr) {
        if (auto waited = wait_for_buffer(deadline); !waited) return waited.error();
        continue;
      }
      ::io_uring_prep_recv(&request, socket->fd(), block->data, block->capacity, 0);
    }
    const bool polls = !more_waits_;
    if (polls) request.ioprio |= IORING_RECVSEND_POLL_FIRST;
    const Completion completion =
        socket->perform(Direction::in, request, deadline, "bytes from a stream");
    if (block == nullptr) block = buffers.end_receive(completion.flags);
    const std::size_t n = completion.result > 0 ? static_cast<std::size_t>(completion.result) : 0;
    Slice bytes(block, block != nullptr ? block->data : nullptr, n);  // drops it on every way out
    if (socket->aborted()) return Errc::broken;
    if (n > 0) {
      note_received(n, completion.flags, polls);
      mark_written(bytes.data(), n);
      return bytes;
    }
    // Others used up what was provided: provide more. Only if there are no more is that an error.
    if (completion.result == -ENOBUFS && buffers.provided()) {
      ++core_->count().buffers_short;
      more_waits_ = true;
      continue;
    }
    if (auto end = end_or_error(*socket.operator->(), completion); !end) return end.error();
    return Slice();
  }
}

// --- What the stream asks for ---------------------------------------------------------------------------------------

Result<Slice> StreamReceiver::read(Deadline deadline) {
  const DescriptorRef socket = socket_;
  Scheduler& scheduler = core_->scheduler();
  for (;;) {
    if (socket->aborted()) return Errc::broken;
    if (const auto refused = scheduler.refuses(deadline)) return *refused;
    if (first_ != nullptr) return take_front();
    if (over_) {
      if (auto end = end_or_error(*socket.operator->(), {result_}); !end) return end.error();
      return Slice();
    }
    if (!going_on_ && !(may_go_on() && start())) return receive(deadline);
    if (auto waited = wait(socket, deadline); !waited) return waited.error();
    if (first_ != nullptr) return take_front();
  }
}

Result<std::size_t> StreamReceiver::read_into(std::span<std::byte> into, Deadline deadline) {
  TWINWIRE_CHECK(!into.empty(), "a read needs room for at least one byte");
  const DescriptorRef socket = socket_;
  Scheduler& scheduler = core_->scheduler();
  while (first_ == nullptr && !over_ && going_on_) {
    if (socket->aborted()) return Errc::broken;
    if (const auto refused = scheduler.refuses(deadline)) return *refused;
    stop();  // or it would take the bytes that belong here
    if (auto waited = wait(socket, deadline); !waited) return waited.error();
  }
  if (socket->aborted()) return Errc::broken;
  if (first_ != nullptr || over_)
    if (const auto refused = scheduler.refuses(deadline)) return *refused;
  if (first_ != nullptr) {
    // Part of the first buffer: the rest stays.
    Block& block = *first_;
    const std::size_t n = std::min<std::size_t>(into.size(), block.end - block.begin);
    std::memcpy(into.data(), block.data + block.begin, n);
    block.begin += static_cast<std::uint32_t>(n);
    if (block.begin == block.end) take_front().release();
    return n;
  }
  Completion completion{result_};
  if (!over_) {
    io_uring_sqe request{};
    ::io_uring_prep_recv(&request, socket->fd(), into.data(), into.size(), 0);
    const bool polls = !more_waits_;
    if (polls) request.ioprio |= IORING_RECVSEND_POLL_FIRST;
    completion = socket->perform(Direction::in, request, deadline, "bytes from a stream");
    if (socket->aborted()) return Errc::broken;
    if (completion.result > 0) {
      const auto n = static_cast<std::size_t>(completion.result);
      note_received(n, completion.flags, polls);
      mark_written(into.data(), n);
      return n;
    }
  }
  if (auto end = end_or_error(*socket.operator->(), completion); !end) return end.error();
  return std::size_t{0};
}

Result<void> StreamReceiver::end_or_error(Descriptor& socket,
                                          const Completion& completion) noexcept {
  if (completion.result < 0) return stream_error(completion);
  // A reset that the writer met reads as a clean end afterwards: it is not one.
  if (socket.failure() != 0) return Error{Errc::broken, socket.failure()};
  end_was_read_ = true;
  return {};
}

}  // namespace twinwire::real
