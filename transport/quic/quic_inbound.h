// SPDX-License-Identifier: Apache-2.0
// QuicInbound: the peer's streams on their way to becoming messages. Sans-IO: bytes in, whole messages and credit out.
//
// A stream is one message. One that ends without a byte is the peer's good-bye: no message follows it. With one_stream
// the first stream holds them all, back to back, and its end is the good-bye. Memory: what arrives is held in one block
// a message, which grows with what has arrived until the reader's maximum is known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>

#include "transport/quic/quic_assembly.h"
#include "transport/quic/quic_options.h"
#include "transport/wire/message.h"

namespace twinwire {

class QuicInbound {
 public:
  QuicInbound(BufferPool& pool, const QuicOptions& options) noexcept;
  QuicInbound(const QuicInbound&) = delete;
  QuicInbound& operator=(const QuicInbound&) = delete;
  ~QuicInbound() = default;

  // From the engine, each stream's bytes in order.
  void on_bytes(std::uint64_t stream, std::span<const std::byte> bytes, bool end) noexcept;
  void on_reset(std::uint64_t stream) noexcept;

  // Moves the next message into `out` and returns true; false: it is not whole yet.
  // Errors     closed (the peer said good-bye) · invalid (no frame, or over `max`) · broken (the peer reset it)
  Result<bool> next(std::size_t max, Message& out) noexcept;

  // From now on nothing is kept; what arrives is counted, credited and forgotten.
  void discard() noexcept;
  // The peer has said good-bye, and every stream before that has come to its end.
  bool ended() const noexcept;
  // An older message than that is still to become whole.
  bool waits_for_older(std::uint64_t stream) const noexcept {
    return !one_stream_ && stream > first_ && !streams_.empty() && !streams_.front().end;
  }
  // A stream found no memory: the connection cannot go on, since the peer will not send it again.
  bool out_of_memory() const noexcept { return out_of_memory_; }

  // What the peer may be allowed to send in addition. Streams are held back until they are worth a frame.
  struct Credit {
    std::uint64_t bytes = 0;
    std::uint64_t streams = 0;
    std::uint64_t stream = 0;
    std::uint64_t stream_bytes = 0;
  };
  // `reading`: somebody waits for the first message, so what came of it may be followed by more. `untold`: bytes that
  // were taken as credit, and that the peer does not know of yet.
  std::optional<Credit> take_credit(bool reading, std::uint64_t untold) noexcept;
  // After take_credit(true): the first message can never become whole, since what the peer has begun behind it fills
  // the window and all that could be lent.
  bool stuck(std::uint64_t untold) const noexcept;

 private:
  // A message to be: a stream of its own, or, with one_stream, the next part of the only one.
  struct Stream {
    QuicAssembly frame;
    std::size_t credited = 0;  // of its own window
    bool end = false;
    bool reset = false;
    bool taken = false;
  };
  void on_shared_bytes(std::uint64_t number, std::span<const std::byte> bytes, bool end);
  bool append(Stream& stream, std::span<const std::byte> bytes) noexcept;
  Result<bool> take(Stream& stream, std::size_t max, Message& out) noexcept;
  void give_back(std::size_t bytes) noexcept;
  void lend(std::size_t bytes) noexcept;
  void forget_front() noexcept;

  BufferPool* pool_;
  std::size_t stream_window_;
  std::size_t connection_window_;
  std::size_t messages_window_;
  bool verify_seal_;
  bool any_order_;
  bool one_stream_;
  bool discarding_ = false;
  bool out_of_memory_ = false;

  std::deque<Stream> streams_;
  std::uint64_t first_ = 0;    // number of streams_.front()
  std::size_t held_ = 0;       // bytes of blocks
  std::size_t known_max_ = 0;  // the largest maximum that a reader has named
  Credit credit_;
  std::uint64_t given_;         // bytes that the peer may send in all
  std::uint64_t received_ = 0;  // and has sent
  // Of `given_`, and to be paid back: beyond the window, so that the first message can be finished. At most a window
  // and the reader's maximum, which it may need for itself.
  std::size_t lent_ = 0;
};

}  // namespace twinwire
