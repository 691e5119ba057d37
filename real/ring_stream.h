// SPDX-License-Identifier: Apache-2.0
// RingStream: a TCP connection through io_uring. What each call promises stands in transport/net/byte_stream.h.
//
// Reading takes a buffer that the kernel picks when bytes arrive (receive_buffers.h), so an idle connection costs none.
// Abort cancels what is in flight, awaits the terminal completions and closes with a linger of zero: the peer gets RST.
#pragma once

#include <memory>

#include "real/descriptor.h"
#include "transport/net/byte_stream.h"

namespace twinwire::real {

class Ring;

class RingStream final : public ByteStream {
 public:
  // `socket` is connected, blocking (io_uring itself waits, for blocking sockets only) and stays alive by its count.
  RingStream(Ring& ring, DescriptorRef socket, const Address& local, const Address& peer) noexcept;
  ~RingStream() override;

  Result<std::size_t> write(std::span<const iovec> pieces, Deadline deadline) override;
  Result<Slice> read(Deadline deadline) override;
  Result<std::size_t> read_into(std::span<std::byte> into, Deadline deadline) override;
  Result<void> shutdown_write(Deadline) override;
  void abort() noexcept override;
  Address local() const noexcept override { return local_; }
  Address peer() const noexcept override { return peer_; }

 private:
  // What a receive of `completion` comes to where it brought no byte: the end of the stream (success), or an error.
  Result<void> end_or_error(Descriptor& socket, const Completion& completion) noexcept;

  // Parks until a receive buffer comes back.
  // Errors     broken (aborted meanwhile) · timed_out · canceled
  Result<void> wait_for_buffer(Deadline deadline);

  Ring* ring_;
  DescriptorRef socket_;
  Address local_;
  Address peer_;
  Fiber* starved_ = nullptr;  // the reader, while every receive buffer is lent out
  bool more_waits_ = true;    // the last receive left bytes in the socket: do not poll first
  bool end_was_read_ = false;
  bool write_ended_ = false;
};

}  // namespace twinwire::real
