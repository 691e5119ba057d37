// SPDX-License-Identifier: Apache-2.0
// ByteStream and Acceptor: the byte seam for streams. One virtual call is one system call's worth of work.
//
// At most one fiber reads and at most one writes at a time; the two may be different fibers. Every operation returns
// only when the network has let go of the memory it was lent. One whose deadline has passed when it is called, or whose
// fiber was told to stop, does nothing, not even what it could do at once (Scheduler::refuses). Implementations:
// SimStream (sim/), RingStream (real/).
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "transport/base/error.h"
#include "transport/base/time.h"
#include "transport/net/address.h"
#include "transport/wire/block.h"

namespace twinwire {

// What names a channel that encrypts, and no other one: both its ends have the same, and whoever stands between two
// channels has two (RFC 9266, tls-exporter).
using ChannelBinding = std::array<std::byte, 32>;

class ByteStream {
 public:
  // Frees the descriptor. After the peer's end was read and shutdown_write() was called this is a plain close;
  // before that it is abort(). Never suspends. No operation may be in progress in another fiber.
  virtual ~ByteStream() = default;

  // Hands bytes to the network, as writev(2) does on a non-empty request.
  //
  // Promise    Success: 1 <= n <= total; exactly the first n bytes of the pieces, taken together, were accepted, in
  // order. It may be short at any byte, also inside a piece; the caller resumes. Failure: nothing was accepted
  //
  //            by this call. Accepted is not delivered.
  // Requires   At least one byte in total; at most 1,024 pieces (IOV_MAX); no other write in progress. Zero-length
  //            pieces are allowed. The bytes stay unchanged until the call returns.
  // Suspends   While the network takes no byte.
  // Errors     broken (reset, the peer is gone, after abort or shutdown_write) · timed_out · canceled · no_resources
  virtual Result<std::size_t> write(std::span<const iovec> pieces, Deadline deadline) = 0;

  // The next bytes, lent by the network and counted: the memory goes back when the last slice is dropped.
  //
  // Promise    Success: at least one byte, or an empty slice: the peer ended its side, now and for every later call.
  //            A call that fails with timed_out or canceled has consumed nothing.
  // Suspends   While nothing has arrived; and while every receive buffer is lent out, until one comes back.
  // Errors     broken (reset; after abort) · timed_out · canceled · no_resources
  virtual Result<Slice> read(Deadline deadline) = 0;

  // The same into the caller's memory: 1 <= n <= into.size(), or 0 at the end of the stream. For bodies larger than a
  // receive buffer.
  // Requires   into is not empty, and stays valid until the call returns.
  virtual Result<std::size_t> read_into(std::span<std::byte> into, Deadline deadline) = 0;

  // Ends this side: the peer reads what was accepted and then the end (TCP: FIN). Idempotent.
  // Suspends   Where a farewell has to be written first (TLS: close_notify), while the network takes no more bytes.
  // Errors     broken; and where it suspends, timed_out · canceled: call again, or abort
  virtual Result<void> shutdown_write(Deadline deadline) = 0;

  // Drops the connection at once: the peer gets a reset (TCP: RST), what it has not been sent is thrown away, and
  // operations in progress in other fibers return `broken` once the network has let go of their memory. Idempotent.
  virtual void abort() noexcept = 0;

  virtual Address local() const noexcept = 0;
  virtual Address peer() const noexcept = 0;

  // Never suspends.
  // Errors     unsupported (a stream in the clear, or TLS 1.2 without extended master secret) · no_resources
  virtual Result<ChannelBinding> channel_binding() noexcept { return Errc::unsupported; }
};

class Acceptor {
 public:
  // Stops listening; connections still in the backlog are reset. Never suspends.
  virtual ~Acceptor() = default;

  // The next connection that the network has completed.
  // Suspends   While there is none.
  // Errors     broken (that one connection died in the backlog: call again) · no_resources (out of descriptors: back
  //            off, then call again) · timed_out · canceled
  virtual Result<std::unique_ptr<ByteStream>> accept(Deadline deadline) = 0;

  // The bound address, with the port that the network chose where 0 was asked for.
  virtual Address local() const noexcept = 0;
};

}  // namespace twinwire
