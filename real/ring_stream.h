// SPDX-License-Identifier: Apache-2.0
// RingStream: a TCP connection through io_uring. What each call promises stands in transport/net/byte_stream.h.
//
// Reading is in stream_receiver.h: into buffers that the kernel picks when bytes arrive, so that an idle connection
// holds none.
// Abort cancels what is in flight, awaits the terminal completions and closes with a linger of zero: the peer gets RST.
#pragma once

#include <memory>
#include <optional>

#include "real/descriptor.h"
#include "real/handed_over.h"
#include "real/stream_receiver.h"
#include "transport/net/byte_stream.h"

namespace twinwire::real {

class RingCore;

class RingStream final : public ByteStream {
 public:
  // `socket` is connected, blocking (io_uring itself waits, for blocking sockets only) and stays alive by its count.
  RingStream(RingCore& core, DescriptorRef socket, const Address& local,
             const Address& peer) noexcept;
  ~RingStream() override;

  Result<std::size_t> write(std::span<const iovec> pieces, Deadline deadline) override;
  Result<Slice> read(Deadline deadline) override { return receiver_.read(deadline); }
  Result<std::size_t> read_into(std::span<std::byte> into, Deadline deadline) override {
    return receiver_.read_into(into, deadline);
  }
  Result<void> shutdown_write(Deadline) override;
  void abort() noexcept override;
  // Ends this stream without closing the connection, and gives it away: see handed_over.h.
  Result<HandedOver> hand_over(Deadline deadline);
  // The other end of that, on this ring: `connection` is empty afterwards. On failure it is untouched.
  // Errors     no_resources
  static Result<std::unique_ptr<ByteStream>> adopt(RingCore& core, BufferPool& buffers,
                                                   HandedOver& connection);

  Address local() const noexcept override { return local_; }
  Address peer() const noexcept override { return peer_; }

 private:
  // Whether the next write is one for sendmsg(2).
  bool writes_directly() const noexcept;
  // The ways of a write whose bytes are `total`: by sendmsg(2), nothing where that would have waited; by the ring; and
  // by the ring, of pieces that do not lie side by side.
  std::optional<Result<std::size_t>> write_directly(std::span<const iovec> pieces,
                                                    std::size_t total, Deadline deadline);
  Result<std::size_t> submit(io_uring_sqe& request, std::size_t total, Deadline deadline);
  Result<std::size_t> write_pieces(std::span<const iovec> pieces, std::size_t total, bool zero_copy,
                                   Deadline deadline);
  // Counts a write of `total` bytes of which `n` were taken; returns n.
  std::size_t written(std::size_t n, std::size_t total) noexcept;

  RingCore* core_;
  DescriptorRef socket_;
  StreamReceiver receiver_;
  Address local_;
  Address peer_;
  bool write_ended_ = false;
  std::uint8_t direct_in_a_row_ = 0;  // writes that did not suspend
  std::uint8_t not_directly_ = 0;  // writes that go by the ring, since the socket's buffer was full
  bool handed_over_ = false;
};

}  // namespace twinwire::real
