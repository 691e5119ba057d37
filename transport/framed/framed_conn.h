// SPDX-License-Identifier: Apache-2.0
// FramedConn, FramedReader, FramedWriter: frames back to back on a byte stream, and the two halves of such a
// connection.
//
// What TCP is as it stands, and TLS over a stream that encrypts (transport/tls/tls_stream.h).
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "transport/base/error.h"
#include "transport/base/time.h"
#include "transport/conn_options.h"
#include "transport/net/network.h"
#include "transport/wire/batch.h"
#include "transport/wire/message.h"

namespace twinwire {

class FramedCore;

// A half's reference to what both share. Destroying a half aborts the connection, without suspending; but not a half
// that has come to its end: a reader that yielded `closed`, or either half once close() was called.
class FramedHalf {
 public:
  enum class Role : bool { reader, writer };

  FramedHalf(FramedCore* core, Role role) noexcept : core_(core), role_(role) {}
  FramedHalf(FramedHalf&& other) noexcept
      : core_(std::exchange(other.core_, nullptr)), role_(other.role_) {}
  FramedHalf& operator=(FramedHalf&& other) noexcept {
    std::swap(core_, other.core_);
    std::swap(role_, other.role_);
    return *this;
  }
  ~FramedHalf();
  FramedCore* operator->() const noexcept { return core_; }

 private:
  FramedCore* core_;
  Role role_;
};

class FramedWriter {
 public:
  explicit FramedWriter(FramedHalf half) noexcept : core_(std::move(half)) {}

  // Hands `batch` to the connection, in order and adjacent, as one unit.
  //
  // Promise    Success: the network took every byte; `batch` is empty and keeps its capacity. Not: the peer has it.
  //            Failure: some bytes may have reached the peer. The connection is dropped by a reset; `batch` is whole,
  //            still the caller's, and counts as lost on this connection. Every later call returns the same error
  //            without touching the network, and the reader wakes with an error.
  // Requires   No other fiber inside this writer. Checked; a violation aborts.
  // Memory     The bytes go to the network from where they lie: no copy and no allocation per message; but for messages
  //            under ConnOptions::coalesce_below, which are copied into one block of the network's pool. The references
  //            are dropped when it succeeds.
  // Suspends   While the network takes no more bytes. Otherwise not.
  // Errors     too_large (more than 512 messages) · timed_out · canceled · broken (reset, or the peer is gone) ·
  //            invalid (the reader dropped a peer that violates the protocol) ·
  //            closed (after close() returned ok) · no_resources; each of them drops the connection
  // An empty batch is a success that does nothing.
  Result<void> send_batch(Batch& batch, Deadline deadline);

  // Ends the connection gracefully: the peer reads everything that was sent, then the end.
  //
  // Promise    Success: the peer's end was seen, so a peer that reads to the end has every batch that succeeded.
  //            Failure: the connection was dropped by a reset. It always returns, within `grace`.
  //            Messages of the peer that were not read yet are discarded; a read_message in progress in another fiber,
  //            and every later one, returns `closed`. Whoever wants the peer's last messages reads them before.
  // Suspends   Until the peer has ended its side too.
  // Errors     timed_out (the peer did not end within `grace`) · broken · canceled · what an earlier send_batch
  // returned A second call returns what the first one did.
  Result<void> close(Duration grace);

 private:
  FramedHalf core_;
};

class FramedReader {
 public:
  explicit FramedReader(FramedHalf half) noexcept : core_(std::move(half)) {}

  // The next message: exactly one frame, whole, in the order in which the peer sent them.
  //
  // Promise    What this yields on one connection is a prefix of what the peer handed to send_batch. A call that ends
  //            with timed_out, canceled or no_resources loses no byte: the next call goes on where it stopped.
  // Requires   No other fiber inside this reader. Checked; a violation aborts. `max` >= 256.
  // Memory     A frame is bounded by `max` before memory is taken for it. The message may lie in the network's receive
  //            buffer, which it then keeps, or in a block of the network's pool.
  // Suspends   While no whole message has arrived.
  // Errors     closed (the peer ended between two frames; a killed peer process reads as this, too) · broken (the
  // stream
  //            ended inside a frame, was reset, or was dropped on this side) · invalid (size under 256 or over `max`,
  //            unknown command, seal mismatch: the connection is dropped) · timed_out · canceled · no_resources
  // The first three are final: every later call returns the same.
  Result<Message> read_message(std::size_t max, Deadline deadline);

  // The next message, if it is whole in what earlier calls have fetched: for whoever answers in one batch all that one
  // read brought.
  //
  // Promise    As read_message, of which it is one whose deadline has passed, but for asking neither clock nor network:
  //            what only the network holds is not seen, nor a reset or the peer's end.
  // Suspends   Never.
  // Errors     timed_out (none is here; nothing is lost) · otherwise those of read_message
  Result<Message> try_read_message(std::size_t max);

  // Waits for the next message as read_message does, and takes with it those that have arrived whole behind it: what
  // one read of the network brought, for a fraction of what it costs to ask for each.
  //
  // Promise    Success: `into` got at least one message, in order behind what it held, and no more than it had room
  //            for. A peer's violation behind them is told by the next call.
  // Requires   As read_message; and room for one more in `into` (its capacity), which never grows.
  // Suspends   While no whole message has arrived.
  // Errors     those of read_message; then `into` is as it was
  Result<void> read_batch(Batch& into, std::size_t max, Deadline deadline);

 private:
  FramedHalf core_;
};

class FramedConn {
 public:
  using Reader = FramedReader;
  using Writer = FramedWriter;

  // A connection over a stream of any network.
  // Errors     no_resources
  static Result<FramedConn> over(Network& network, std::unique_ptr<ByteStream> stream,
                                 const ConnOptions& options);

  // Reads the first message and keeps it for the first read_message: the accept side's handshake, where it is wanted.
  // Errors     as read_message
  Result<void> await_first_message(std::size_t max, Deadline deadline);

  // What names the channel beneath, for whoever binds an authentication to it. Never suspends.
  // Errors     unsupported (it does not encrypt: TCP) · no_resources
  Result<ChannelBinding> channel_binding() const noexcept;

  friend std::pair<FramedReader, FramedWriter> split(FramedConn&& conn) {
    return {FramedReader(std::move(conn.reader_half_)), FramedWriter(std::move(conn.writer_half_))};
  }

 private:
  FramedConn(FramedHalf reader_half, FramedHalf writer_half) noexcept
      : reader_half_(std::move(reader_half)), writer_half_(std::move(writer_half)) {}

  FramedHalf reader_half_;
  FramedHalf writer_half_;
};

}  // namespace twinwire
