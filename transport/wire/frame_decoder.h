// SPDX-License-Identifier: Apache-2.0
// FrameDecoder: bytes in, whole frames out. Sans-IO: no stream, no clock, never suspends.
//
//   decoder.feed(slice);                    // what the stream lent
//   while (decoder.next(max, message) ...)  // every whole frame in it; false: feed more
//
// State survives everything but destruction: a read that is told to stop leaves what arrived in here.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "transport/base/error.h"
#include "transport/wire/batch.h"

namespace twinwire {

class FrameDecoder {
 public:
  // `verify_seal`: a frame whose checksums do not match is `invalid`.
  FrameDecoder(BufferPool& pool, bool verify_seal) noexcept
      : pool_(&pool), verify_seal_(verify_seal) {}
  FrameDecoder(const FrameDecoder&) = delete;
  FrameDecoder& operator=(const FrameDecoder&) = delete;
  ~FrameDecoder();

  // Hands over the next bytes of the stream, in order.
  // Requires   that next() said "feed more" (it has consumed what it was given before).
  void feed(Slice&& bytes) noexcept;

  // Moves the next whole frame into `out` and returns true, or returns false: every byte was consumed, feed more.
  // A frame that fills at least half of the memory it lies in is handed out where it lies, and so are small ones that
  // came many at once in memory whose owner can spare it (BlockOwner::share). Others are copied out, so that a message
  // which a user keeps never starves the network's buffers.
  // Errors     invalid (size under 256 or over `max`, unknown command, seal mismatch; final)
  //            no_resources (the pool said no; nothing is lost, call again later)
  Result<bool> next(std::size_t max, Message& out);

  // Appends to `into` what next() would yield one by one, while `into` has room (its capacity): for a fraction of what
  // it costs to ask for each.
  // Errors     those of next(), with what came before in `into`; asked again it says the same
  Result<void> take(std::size_t max, Batch& into);

  // next() would say "feed more" without a look at anything.
  bool needs_more() const noexcept {
    return input_.empty() && partial_ == nullptr && header_filled_ < header_size && !seal_broken_;
  }

  // Whether the stream had better read the rest of a large body to where it belongs: there is direct_space().
  bool reads_directly() const noexcept {
    return partial_ != nullptr && input_.empty() &&
           partial_size_ - partial_filled_ >= direct_read_min;
  }
  // Where to; empty where feed() serves better.
  std::span<std::byte> direct_space() noexcept;
  // The first `n` bytes of direct_space() were filled.
  void commit(std::size_t n) noexcept;

  // What the end of the stream means now: closed (between two frames) or broken (inside one).
  Errc end_of_stream() const noexcept;

  // Everything that next() has not handed out is dropped.
  void discard() noexcept;

 private:
  // Below this a body is gathered from lent slices: one more read call costs more than the copy.
  static constexpr std::size_t direct_read_min = 16 * 1024;

  Result<void> check_header(const std::byte* header, std::size_t max) const noexcept;
  Result<void> start_partial(std::size_t size) noexcept;
  void fill_partial() noexcept;
  void consume(std::size_t n) noexcept;
  bool may_stay(std::size_t size) noexcept;
  Result<bool> finish(Message&& message, Message& out) noexcept;
  // The frames at the front of the input that may stay where they lie.
  void take_in_place(std::size_t max, Batch& into) noexcept;

  BufferPool* pool_;
  Slice input_;                // lent, not yet consumed
  bool input_shared_ = false;  // its small frames may stay where they are
  bool verify_seal_;
  bool seal_broken_ = false;      // of a frame that is gone; a wrong header stays where it is
  Block* partial_ = nullptr;      // the frame being gathered
  std::size_t partial_size_ = 0;  // its whole size
  std::size_t partial_filled_ = 0;
  std::size_t header_filled_ = 0;
  std::array<std::byte, header_size> header_;  // a header that came in pieces
};

}  // namespace twinwire
