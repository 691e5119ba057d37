// SPDX-License-Identifier: Apache-2.0
// QuicConn, QuicReader, QuicWriter: a QUIC connection and its two halves. Each message is a stream of its own, and each
// request with its reply.
#pragma once

#include <memory>
#include <utility>

#include "transport/base/error.h"
#include "transport/base/time.h"
#include "transport/net/address.h"
#include "transport/quic/quic_request.h"
#include "transport/wire/batch.h"
#include "transport/wire/message.h"

namespace twinwire {

class Network;
class QuicConnection;

// A half's reference to what both share. Destroying a half aborts the connection, without suspending (the close packet
// is the pump's to send); but not a half that has come to its end: a reader that yielded `closed`, or either half once
// close() was called.
class QuicHalf {
 public:
  enum class Role : bool { reader, writer };

  QuicHalf(std::shared_ptr<QuicConnection> connection, Role role) noexcept
      : connection_(std::move(connection)), role_(role) {}
  QuicHalf(QuicHalf&& other) noexcept
      : connection_(std::move(other.connection_)), role_(other.role_) {}
  QuicHalf& operator=(QuicHalf&& other) noexcept {
    std::swap(connection_, other.connection_);
    std::swap(role_, other.role_);
    return *this;
  }
  ~QuicHalf();
  QuicConnection& connection() const noexcept { return *connection_; }

 private:
  std::shared_ptr<QuicConnection> connection_;
  Role role_;
};

class QuicWriter {
 public:
  explicit QuicWriter(QuicHalf half) noexcept : half_(std::move(half)) {}

  // Hands `batch` to the connection, in order, as one unit: a stream a message.
  //
  // Promise    Success: every byte is in a packet that the socket has taken; `batch` is empty and keeps its capacity.
  //            Not: the peer has it. Failure: the connection is dropped (CONNECTION_CLOSE with an error); `batch` is
  //            whole, still the caller's, and counts as lost on this connection. Every later call returns the same
  //            error without touching the network, and the reader wakes with an error.
  // Requires   No other fiber inside this writer. Checked; a violation aborts.
  // Memory     The engine encrypts from where the bytes lie: one copy. It keeps a reference to each message until the
  //            peer has acknowledged it.
  // Suspends   While the peer gives no credit, or the congestion window is full.
  // Errors     too_large (more than 512 messages) · timed_out · canceled · broken (the peer or the network ended it) ·
  //            invalid (the reader dropped a peer that violates the protocol) · closed (after close()) · no_resources
  // An empty batch is a success that does nothing.
  Result<void> send_batch(Batch& batch, Deadline deadline);

  // Ends the connection gracefully: says good-bye behind the last message, waits until everything is acknowledged and
  // the peer has said good-bye, then closes with code 0.
  //
  // Promise    Success: the peer's transport has every batch that succeeded, and said its own good-bye. Failure: the
  //            connection was dropped. It always returns, within `grace`. Messages of the peer that were not read yet
  //            are discarded; a read in progress, and every later one, returns `closed`.
  // Errors     timed_out (the peer did not say good-bye within `grace`) · broken · canceled · what an earlier
  //            send_batch returned. A second call returns what the first one did.
  Result<void> close(Duration grace);

  // Sends `request` on a bidirectional stream of its own, and waits for the reply, which comes back on it.
  //
  // Promise    The reply is the one to this request: a late one can never be taken for another's. Failure breaks this
  //            request off and nothing else (but see `invalid`); the peer may have seen it.
  // Requires   max >= 256. May run in any number of fibers at once, beside send_batch.
  // Memory     As send_batch: a reference to `request` is kept until the peer has acknowledged it. A reply larger than
  //            `max` is refused when its header is here.
  // Suspends   While the peer takes no more requests, gives no credit, or has not replied.
  // Errors     refused (the peer takes no requests, or dropped this one) · timed_out · canceled · broken (the
  //            connection ended) · closed (after close()) · invalid (the reply is no frame, or too large: the
  //            connection is dropped) · no_resources
  // Order      None: requests overtake each other, and messages.
  Result<Message> request(const Message& request, std::size_t max, Deadline deadline);

  // Moves a connection that was dialed to another local address, such as that of another interface (RFC 9000, section
  // 9.2): what follows leaves from there, and the peer answers there once it has validated the address. Nothing is
  // lost. An address that changes on the way (a NAT that forgot) needs no call: the peer notices by itself.
  //
  // Requires   `network`: the one that it was dialed on. Never suspends.
  // Errors     unsupported (this side accepted it; the handshake is not confirmed yet; the peer forbids it) ·
  //            no_resources (also: the peer has given no connection id to spare yet) · as Network::bind · closed ·
  //            broken
  //            After unsupported or no_resources the connection stands as it was.
  Result<void> migrate(Network& network, const Address& local);

 private:
  QuicHalf half_;
};

class QuicReader {
 public:
  explicit QuicReader(QuicHalf half) noexcept : half_(std::move(half)) {}

  // The next message: exactly one frame, whole, in the order in which the peer sent them (QuicOptions::any_order: as
  // they become whole).
  //
  // Promise    A call that ends with timed_out or canceled loses no byte: the next call goes on where it stopped.
  // Requires   No other fiber inside this reader. Checked; a violation aborts. `max` >= 256.
  // Memory     A frame that is larger than `max` is refused when its header is here.
  // Suspends   While no whole message has arrived.
  // Errors     closed (the peer said good-bye) · broken (the connection or this stream was reset, fell silent for the
  //            idle time-out, or was dropped on this side) · invalid (a stream that holds no frame, or more than one:
  //            the connection is dropped) · timed_out · canceled
  // The first three are final: every later call returns the same.
  Result<Message> read_message(std::size_t max, Deadline deadline);

  // The peer's next request: of those that are whole the oldest. Answer it with QuicRequest::reply.
  //
  // Requires   QuicOptions::requests_window > 0. No other fiber inside next_request (read_message may run beside it).
  //            Checked; a violation aborts. `max` >= 256.
  // Suspends   While no whole request has arrived.
  // Errors     as read_message
  Result<QuicRequest> next_request(std::size_t max, Deadline deadline);

 private:
  QuicHalf half_;
};

class QuicConn {
 public:
  using Reader = QuicReader;
  using Writer = QuicWriter;

  explicit QuicConn(const std::shared_ptr<QuicConnection>& connection) noexcept
      : reader_half_(connection, QuicHalf::Role::reader),
        writer_half_(connection, QuicHalf::Role::writer) {}

  friend std::pair<QuicReader, QuicWriter> split(QuicConn&& conn) {
    return {QuicReader(std::move(conn.reader_half_)), QuicWriter(std::move(conn.writer_half_))};
  }

 private:
  QuicHalf reader_half_;
  QuicHalf writer_half_;
};

}  // namespace twinwire
