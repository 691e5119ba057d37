// SPDX-License-Identifier: Apache-2.0
// RingStream: a TCP connection through io_uring. What each call promises stands in transport/net/byte_stream.h.
//
// Reading is in stream_receiver.h: into buffers that the kernel picks when bytes arrive, so that an idle connection
// holds none.
// Abort cancels what is in flight, awaits the terminal completions and closes with a linger of zero: the peer gets RST.
#pragma once

#include <memory>

#include "real/descriptor.h"
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
  Address local() const noexcept override { return local_; }
  Address peer() const noexcept override { return peer_; }

 private:
  RingCore* core_;
  DescriptorRef socket_;
  StreamReceiver receiver_;
  Address local_;
  Address peer_;
  bool write_ended_ = false;
};

}  // namespace twinwire::real
