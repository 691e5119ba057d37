// SPDX-License-Identifier: Apache-2.0
// HandedOver: a TCP connection between two shards: taken off the ring that it was on, and not yet on another.
//
//   auto connection = HandedOver::take(stream, deadline);         // on the shard that accepted it
//   shard.post(other, [connection = std::move(*connection)](Shard& there) mutable {
//     auto stream = std::move(connection).adopt(there.ring());    // a ByteStream of that shard
//   });
//
// Outside the transport interface, and for plain streams alone: TLS, WebSocket and QUIC keep keys, counters and
// buffers beside the socket. Those connections end on the shard that accepted them; their messages go on by ShardPort.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "transport/base/error.h"
#include "transport/base/time.h"
#include "transport/net/address.h"
#include "transport/net/byte_stream.h"

namespace twinwire::real {

class Ring;

class HandedOver {
 public:
  // Takes the connection of `stream`.
  //
  // Promise    Success: `stream` is gone and nothing of its ring refers to the connection, which is open still, by a
  //            descriptor of its own (F_DUPFD_CLOEXEC). What was received and not read comes with it, copied, and is
  //            what the adopted stream reads first. Failure: `stream` is untouched; the connection may be tried again,
  //            used or dropped.
  // Requires   No slice of it need be gone: those stay good, on the shard that read them.
  // Suspends   Until a receive that the ring keeps up by itself has ended; otherwise not.
  // Errors     unsupported (no stream of a RingNetwork itself) · invalid (a fiber reads from it or writes to it) ·
  //            broken (it is lost already) · timed_out · canceled · no_resources
  static Result<HandedOver> take(std::unique_ptr<ByteStream>& stream, Deadline deadline);

  // A stream of `ring`, by which its thread goes on where the other stopped.
  // Promise    Failure: this is untouched.
  // Errors     no_resources
  Result<std::unique_ptr<ByteStream>> adopt(Ring& ring) &&;

  HandedOver(HandedOver&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        unread_(std::move(other.unread_)),
        unread_size_(std::exchange(other.unread_size_, 0)),
        local_(other.local_),
        peer_(other.peer_),
        read_ended_(other.read_ended_),
        write_ended_(other.write_ended_) {}
  HandedOver& operator=(HandedOver&& other) noexcept;
  // Nobody adopted it: closes, and the peer reads a reset, as of every stream that is dropped.
  ~HandedOver();

  bool empty() const noexcept { return fd_ < 0; }
  std::size_t unread() const noexcept { return unread_size_; }
  const Address& local() const noexcept { return local_; }
  const Address& peer() const noexcept { return peer_; }

 private:
  friend class RingStream;
  HandedOver() noexcept = default;

  int fd_ = -1;
  std::unique_ptr<std::byte[]> unread_;
  std::size_t unread_size_ = 0;
  Address local_{};
  Address peer_{};
  bool read_ended_ = false;
  bool write_ended_ = false;
};

}  // namespace twinwire::real
