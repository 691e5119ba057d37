// SPDX-License-Identifier: Apache-2.0
// WsConn, WsReader, WsWriter: one frame a binary WebSocket message, over any byte stream; and the two halves.
//
// Over a TLS stream this is wss. Per connection one fiber alone reads the stream (ws_pump.cc), within a bound also
// while nobody is in read_message, so that pings are answered, and the peer's end is noticed.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "transport/base/error.h"
#include "transport/base/time.h"
#include "transport/handshake_terms.h"
#include "transport/net/network.h"
#include "transport/wire/batch.h"
#include "transport/wire/message.h"
#include "transport/ws/ws_options.h"

namespace twinwire {

class WsCore;

// A half's reference to what both share. Destroying a half aborts the connection, without suspending; but not a half
// that has come to its end: a reader that yielded `closed`, or either half once close() was called.
class WsHalf {
 public:
  enum class Role : bool { reader, writer };

  WsHalf(WsCore* core, Role role) noexcept : core_(core), role_(role) {}
  WsHalf(WsHalf&& other) noexcept
      : core_(std::exchange(other.core_, nullptr)), role_(other.role_) {}
  WsHalf& operator=(WsHalf&& other) noexcept {
    std::swap(core_, other.core_);
    std::swap(role_, other.role_);
    return *this;
  }
  ~WsHalf();
  WsCore* operator->() const noexcept { return core_; }
  WsCore& operator*() const noexcept { return *core_; }

 private:
  WsCore* core_;
  Role role_;
};

class WsWriter {
 public:
  explicit WsWriter(WsHalf half) noexcept : core_(std::move(half)) {}

  // Hands `batch` to the connection, in order and adjacent, as one unit: one binary message each.
  //
  // Promise    Success: the stream below took every encoded byte; `batch` is empty and keeps its capacity. Not: the
  //            peer has it. Failure: some bytes may have reached the peer. The connection is dropped by a reset;
  //            `batch` is whole, still the caller's, and counts as lost on this connection. Every later call returns
  //            the same error without touching the network, and the reader wakes with an error.
  // Requires   No other fiber inside this writer. Checked; a violation aborts.
  // Memory     A server's payloads go to the stream from where they lie, behind a head of 4 to 10 bytes each: no copy
  //            and no allocation. A client masks: one copy, through a block of the network's pool of at most 256 KiB.
  // Suspends   While the stream takes no more bytes, or a control frame is under way.
  // Errors     too_large (more than 512 messages) · timed_out · canceled · broken (reset, or the peer is gone) ·
  //            invalid (the peer violated the protocol and was dropped) · closed (after close() returned ok) ·
  //            no_resources; each of them drops the connection
  // An empty batch is a success that does nothing.
  Result<void> send_batch(Batch& batch, Deadline deadline);

  // Ends the connection gracefully: what was sent, a Close frame (1000, or what the peer's Close said), then the end.
  //
  // Promise    Success: the peer's Close and its end were seen, so a peer that reads to the end has every batch that
  //            succeeded. Failure: the connection was dropped by a reset. It always returns, within `grace`.
  //            Messages of the peer that were not read yet are discarded; a read_message in progress in another fiber,
  //            and every later one, returns `closed`.
  // Suspends   Until the peer has ended its side too.
  // Errors     timed_out (the peer did not end within `grace`) · broken (its stream ended without a Close, too) ·
  //            canceled · what an earlier send_batch returned. A second call returns what the first one did.
  Result<void> close(Duration grace);

 private:
  WsHalf core_;
};

class WsReader {
 public:
  explicit WsReader(WsHalf half) noexcept : core_(std::move(half)) {}

  // The next message: exactly one frame, whole, in the order in which the peer sent them.
  //
  // Promise    What this yields on one connection is a prefix of what the peer handed to send_batch. A call that ends
  //            with timed_out, canceled or no_resources loses no byte: the next call goes on where it stopped.
  // Requires   No other fiber inside this reader. Checked; a violation aborts. `max` >= 256.
  // Memory     A message is bounded before memory is taken for it: by `max`, or by 64 KiB where nobody reads. It may
  //            lie in the network's receive buffer (a client's, unmasked), or in a block of the network's pool.
  // Suspends   While no whole message has arrived.
  // Errors     closed (the peer sent a Close frame, empty or with 1000 or 1001: nothing is lost) · broken (another
  //            Close, the stream ended without one, was reset, or was dropped on this side) · invalid (the peer
  //            violated RFC 6455 or the frame's rules: it was told by a Close frame, and dropped) · timed_out ·
  //            canceled · no_resources
  // The first three are final: every later call returns the same.
  Result<Message> read_message(std::size_t max, Deadline deadline);

 private:
  WsHalf core_;
};

class WsConn {
 public:
  using Reader = WsReader;
  using Writer = WsWriter;

  // The client's and the server's upgrade over a stream, and the connection that it makes. `terms`: the deadline, and
  // for the log what failed it, in words.
  // Errors     handshake (refused, or no WebSocket peer) · broken · timed_out · canceled · no_resources
  static Result<WsConn> connect(Network& network, std::unique_ptr<ByteStream> stream,
                                const WsOptions& options, Deadline deadline);
  static Result<WsConn> accept(Network& network, std::unique_ptr<ByteStream> stream,
                               const WsOptions& options, HandshakeTerms terms);

  // Waits for the first message; it stays the first that read_message yields.
  // Errors     as read_message
  Result<void> await_first_message(std::size_t max, Deadline deadline);

  friend std::pair<WsReader, WsWriter> split(WsConn&& conn) {
    return {WsReader(std::move(conn.reader_half_)), WsWriter(std::move(conn.writer_half_))};
  }

 private:
  explicit WsConn(WsCore* core) noexcept
      : reader_half_(core, WsHalf::Role::reader), writer_half_(core, WsHalf::Role::writer) {}

  WsHalf reader_half_;
  WsHalf writer_half_;
};

}  // namespace twinwire
