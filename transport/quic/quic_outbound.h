// SPDX-License-Identifier: Apache-2.0
// QuicOutbound: our messages on their way out, one stream each, in order. Keeps a reference to every message until the
// peer has acknowledged it: ngtcp2 sends lost bytes again from where they lie.
//
// With one_stream all of them go on the first stream, one after another; numbers here are then messages, and the engine
// knows only stream 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "transport/quic/quic_engine.h"
#include "transport/wire/message.h"

namespace twinwire {

class QuicOutbound {
 public:
  explicit QuicOutbound(bool one_stream) noexcept : one_stream_(one_stream) {}

  // Both allocate: std::bad_alloc leaves nothing behind.
  void push(const Message& message);
  void push_end();  // the good-bye: a stream that ends without a byte

  // For the engine: see QuicSink.
  std::optional<QuicSink::Piece> next_piece() const noexcept;
  void on_new_packet() noexcept { blocked_ = false; }
  void on_written(const QuicSink::Piece& piece, std::size_t bytes) noexcept;
  void on_blocked() noexcept { blocked_ = true; }  // whoever is behind in order has to wait
  void on_acked(std::uint64_t stream, std::uint64_t bytes) noexcept;
  void on_all_acked(std::uint64_t stream) noexcept;

  std::uint64_t pushed() const noexcept { return first_ + streams_.size(); }
  // How many streams must be open.
  std::uint64_t streams_wanted() const noexcept {
    return one_stream_ && pushed() != 0 ? 1 : pushed();
  }
  // So many messages, from the first, are in packets to the last byte.
  std::uint64_t packetised() const noexcept { return writing_; }
  bool all_acked() const noexcept { return streams_.empty(); }
  void clear() noexcept { streams_.clear(); }

 private:
  struct Stream {
    Message message;
    std::size_t written = 0;
    std::size_t acked = 0;
    bool done = false;
#ifdef TWINWIRE_PLANTS
    std::vector<std::byte> copy;  // PLANT(quic_references_freed_before_ack)
#endif
  };
  Stream* find(std::uint64_t stream) noexcept {
    return stream >= first_ && stream - first_ < streams_.size() ? &streams_[stream - first_]
                                                                 : nullptr;
  }

  void on_shared_acked(std::uint64_t bytes) noexcept;

  bool one_stream_;
  bool blocked_ = false;
  std::deque<Stream> streams_;
  std::uint64_t first_ = 0;    // number of streams_.front()
  std::uint64_t writing_ = 0;  // the stream to write next
};

}  // namespace twinwire
