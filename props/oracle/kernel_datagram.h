// SPDX-License-Identifier: Apache-2.0
// KernelDatagram: a UDP socket by plain system calls, behind the seam. It never waits: a receive with nothing there has
// timed out. A datagram with a segment size is cut here, so that what the kernel's own cutting (UDP_SEGMENT) does is no
// part of the truth.
//
// Promises of the seam that are not the kernel's, and are made here: a send whose deadline has passed does nothing; a
// destination that this socket cannot have at all (port 0, another family, a source that is not ours) is `unreachable`.
#pragma once

#include <memory>

#include "transport/net/clock.h"
#include "transport/net/datagram_socket.h"
#include "transport/net/network.h"
#include "transport/wire/buffer_pool.h"

namespace twinwire::oracle {

class KernelDatagram final : public DatagramSocket {
 public:
  static Result<std::unique_ptr<DatagramSocket>> bind(const Address& address,
                                                      const DatagramOptions& options,
                                                      BufferPool& buffers);
  ~KernelDatagram() override;

  Result<std::size_t> send(std::span<const Datagram> datagrams, Deadline deadline) override;
  Result<DatagramBatch> receive(Deadline deadline) override;
  Address local() const noexcept override { return local_; }

 private:
  KernelDatagram(int fd, BufferPool& buffers) : fd_(fd), buffers_(buffers) {}
  // One datagram as it is; an errno, 0: sent.
  int send_one(const Datagram& datagram, std::span<const std::byte> bytes) const;

  int fd_;
  BufferPool& buffers_;
  Address local_;
};

}  // namespace twinwire::oracle
