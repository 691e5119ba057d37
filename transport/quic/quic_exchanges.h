// SPDX-License-Identifier: Apache-2.0
// QuicExchanges: the requests of both sides, each with its reply on a bidirectional stream of its own. Bytes in; whole
// requests and replies, bytes to send and credit out. Private to transport/quic/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>

#include "transport/fiber/wait_queue.h"
#include "transport/quic/quic_assembly.h"
#include "transport/quic/quic_engine.h"
#include "transport/quic/quic_options.h"

namespace twinwire {

// One request and its reply. Held by the table and by whoever asks or answers; the engine may be through with it first.
struct QuicExchange {
  QuicStream stream;

  Message out;  // our request, or our reply; a reference until it is acknowledged
  std::size_t size = 0;
  std::size_t written = 0;
  std::size_t acked = 0;
  bool handed = false;        // the socket has taken all of it
  std::uint64_t blocked = 0;  // the packet for which the peer allowed no more of it
  bool unwanted = false;      // the peer reads no more of it

  QuicAssembly in;           // the peer's reply, or its request
  std::size_t credited = 0;  // of its bytes: so much beyond the first window may come
  std::size_t max = 0;       // the largest reply that is welcome
  bool end = false;
  bool reset = false;    // it ended before its end
  bool yielded = false;  // the application has it

  bool abandoned = false;  // by us
  bool told = false;       // and the engine knows
  WaitQueue changed;       // the fiber that asked, or that answers
};

class QuicExchanges {
 public:
  using Handle = std::shared_ptr<QuicExchange>;

  QuicExchanges(Scheduler& scheduler, BufferPool& pool, const QuicOptions& options) noexcept;

  // --- From the halves ---------------------------------------------------------------------------------------------

  // Both allocate: std::bad_alloc leaves nothing behind.
  Handle ask(std::uint64_t number, const Message& request, std::size_t max);
  void answer(const Handle& exchange, const Message& reply);
  // The reply, if it is whole. Errors     refused (the peer reset it) · invalid (no frame, or over its maximum)
  Result<bool> take_reply(QuicExchange& exchange, Message& out) noexcept;
  // The oldest request that is whole and that nobody has; null: there is none. Errors     invalid
  Result<Handle> take_request(std::size_t max, Message& out) noexcept;
  bool has_request() const noexcept;  // that take_request would yield, or call invalid
  WaitQueue& request_arrived() noexcept { return request_arrived_; }
  void abandon(QuicExchange& exchange) noexcept;

  // Gives up all that is not answered; from now on the peer's requests are refused.
  void close() noexcept;
  bool replies_acked() const noexcept;
  // The connection is over: nothing more comes or goes.
  void clear() noexcept;
  void wake_everybody() noexcept;

  // --- From the engine (see QuicSink) ------------------------------------------------------------------------------

  void on_bytes(QuicStream stream, std::span<const std::byte> bytes, bool end) noexcept;
  void on_reset(QuicStream stream) noexcept;
  void on_unwanted(QuicStream stream) noexcept;
  void on_acked(QuicStream stream, std::uint64_t bytes) noexcept;
  void on_closed(QuicStream stream) noexcept;
  void on_new_packet() noexcept;
  std::optional<QuicSink::Piece> next_piece() const noexcept;
  void on_written(QuicStream stream, std::size_t bytes) noexcept;
  void on_blocked(QuicStream stream) noexcept;

  // --- From the pump -----------------------------------------------------------------------------------------------

  // The socket has taken everything that was written.
  void hand_over() noexcept;
  // A stream that the engine must end, for each that was abandoned.
  std::optional<QuicStream> next_abandoned() noexcept;
  // One stream that may grow beyond the window, and by how much: a reply that is welcome, or the oldest request if
  // `serving`.
  struct Growth {
    QuicStream stream;
    std::uint64_t bytes = 0;
  };
  std::optional<Growth> next_growth(bool serving) noexcept;
  struct Credit {
    std::uint64_t bytes = 0;
    std::uint64_t streams = 0;
  };
  std::optional<Credit> take_credit() noexcept;
  bool out_of_memory() const noexcept { return out_of_memory_; }

 private:
  using Table = std::map<std::uint64_t, Handle>;
  Table& table(QuicStream stream) noexcept {
    return stream.kind == QuicStream::Kind::our_request ? ours_ : theirs_;
  }
  QuicExchange* find(QuicStream stream) noexcept;
  QuicExchange* find_or_begin(QuicStream stream);
  void forget_sending(const QuicExchange& exchange) noexcept;
  Result<bool> take(QuicExchange& exchange, std::size_t max, Message& out) noexcept;
  std::uint64_t grow(QuicExchange& exchange) noexcept;

  Scheduler* scheduler_;
  BufferPool* pool_;
  std::size_t stream_window_;
  std::size_t requests_window_;
  bool verify_seal_;

  Table ours_;
  Table theirs_;
  std::deque<Handle> sending_;  // with bytes that the socket has not taken; in turn
  std::uint64_t packet_ = 0;
  std::size_t requests_max_ = 0;  // the largest maximum that next_request has named
  bool growing_ = false;
  bool untold_ = false;
  bool closing_ = false;
  bool out_of_memory_ = false;
  Credit credit_;
  WaitQueue request_arrived_;
};

}  // namespace twinwire
