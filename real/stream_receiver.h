// SPDX-License-Identifier: Apache-2.0
// StreamReceiver: the reading side of a stream on a ring. Two ways, chosen by what the stream does:
//
//   one receive at a time, into a large buffer or the reader's own memory: for streams that have bytes waiting whenever
//   they are asked, where the next receive finds its bytes at once
//   a receive that goes on (multishot), into small buffers: for connections that mostly wait; it saves a submission and
//   the arming of a poll for each message
//
// A stream begins with the first, and changes to the second after it had to wait for a few bytes several times in a
// row. It changes back when buffers come in full, when the reader asks for bytes in memory of its own, and when nobody
// reads: what arrived meanwhile stays here, a few buffers at most, and the rest stays in the socket, so that TCP's flow
// control reaches the peer.
#pragma once

#include <span>

#include "real/descriptor.h"
#include "transport/wire/block.h"

namespace twinwire::real {

class RingCore;

class StreamReceiver final : public CompletionHandler {
 public:
  StreamReceiver(RingCore& core, DescriptorRef socket) noexcept
      : core_(&core), socket_(std::move(socket)) {}
  StreamReceiver(const StreamReceiver&) = delete;
  StreamReceiver& operator=(const StreamReceiver&) = delete;
  // The socket was aborted, or its end was read.
  ~StreamReceiver();

  // As ByteStream's.
  Result<Slice> read(Deadline deadline);
  Result<std::size_t> read_into(std::span<std::byte> into, Deadline deadline);

  // The peer's end came, and everything before it was read.
  bool end_was_read() const noexcept { return end_was_read_; }
  // The socket was aborted: whoever waits here without an operation of its own is told.
  void aborted() noexcept;

  // Ends the receive that goes on, if there is one; what it brought stays here.
  // Errors     invalid (somebody reads) · as of wait()
  Result<void> come_to_rest(Deadline deadline);
  // After that. What was received and not read, first to last, stays.
  std::size_t unread() const noexcept;
  void copy_unread(std::byte* into) const noexcept;
  // The first `size` bytes of `block`, with its one reference, are the next that were not read. From outside: before
  // the first read, of a connection that was handed over.
  void push(Block* block, std::size_t size) noexcept;
  void note_end_was_read() noexcept { end_was_read_ = true; }

  void on_completion(std::int32_t result, std::uint32_t flags, bool last) noexcept override;

 private:
  // Waits until on_completion() has something to say.
  // Requires   `socket` is a reference of the caller's own to this one's
  // Errors     broken (aborted meanwhile; this object may be gone) · timed_out · canceled
  Result<void> wait(const DescriptorRef& socket, Deadline deadline);
  // Waits until a receive buffer comes back. Errors as of wait().
  Result<void> wait_for_buffer(Deadline deadline);
  // Has the receive that goes on end, before its time.
  void stop() noexcept;
  bool may_go_on() const noexcept;
  bool start() noexcept;
  Result<Slice> receive(Deadline deadline);
  void note_received(std::size_t n, std::uint32_t flags, bool waited) noexcept;
  // What a receive that brought no byte comes to: the end of the stream (success), or an error.
  Result<void> end_or_error(Descriptor& socket, const Completion& completion) noexcept;
  Slice take_front() noexcept;
  void clear() noexcept;

  RingCore* core_;
  DescriptorRef socket_;
  Fiber* reader_ = nullptr;  // waits here, not for an operation of its own

  Block* first_ = nullptr;  // received and not read, in order, linked by Block::next
  Block* last_ = nullptr;
  std::uint16_t queued_ = 0;
  std::uint16_t full_ = 0;  // completions in a row that filled their buffer
  std::uint16_t calm_ = 0;  // receives in a row that waited, and brought little
  bool going_on_ = false;   // a multishot receive is in flight
  bool stopping_ = false;   // and was told to end
  bool over_ = false;       // it met the end of the stream, or an error: result_
  bool more_waits_ = true;  // the last receive left bytes in the socket: do not poll first
  bool end_was_read_ = false;
  std::int32_t result_ = 0;
};

}  // namespace twinwire::real
