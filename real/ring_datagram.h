// SPDX-License-Identifier: Apache-2.0
// RingDatagram: a UDP socket. What each call promises stands in transport/net/datagram_socket.h.
//
// The ring waits for readiness; the datagrams themselves are moved by sendmmsg(2) and recvmmsg(2), many to a call,
// which io_uring has no operation for. Datagrams are never fragmented (DF is set). Segmentation is the kernel's where
// it can (UDP_SEGMENT, UDP_GRO), and done here where it cannot. ICMP errors are not reported (`refused` does not
// occur): the socket is not connected, and Linux tells only connected ones, unless asked in a way that costs more.
#pragma once

#include "real/descriptor.h"
#include "transport/net/datagram_socket.h"

struct mmsghdr;

namespace twinwire::real {

class RingCore;

class RingDatagram final : public DatagramSocket {
 public:
  // `socket` is bound to `local` and has the options below.
  RingDatagram(RingCore& core, DescriptorRef socket, const Address& local) noexcept;
  ~RingDatagram() override;

  Result<std::size_t> send(std::span<const Datagram> datagrams, Deadline deadline) override;
  Result<DatagramBatch> receive(Deadline deadline) override;
  Address local() const noexcept override { return local_; }

  // What this class needs set on its socket before it is bound.
  static void set_options(int fd, bool v4) noexcept;

 private:
  // Where sending stands: the next byte of the next datagram.
  struct Cursor {
    std::size_t datagram = 0;
    std::size_t offset = 0;
  };
  // The piece at `at` that one message carries, and where the piece after it starts.
  Cursor next_piece(std::span<const Datagram> datagrams, Cursor at,
                    std::span<const std::byte>& piece) const noexcept;
  // Waits until the socket is ready for `events`; success, or timed_out, canceled, no_resources.
  Result<void> wait_for(Descriptor& socket, Direction direction, unsigned events, Deadline deadline,
                        const char* waiting_for);
  ReceivedDatagram describe(const mmsghdr& message, Slice bytes) const noexcept;

  RingCore* core_;
  DescriptorRef socket_;
  Address local_;
  bool kernel_segments_ = true;       // until it refuses
  std::uint32_t sends_in_a_row_ = 0;  // that did not suspend
};

}  // namespace twinwire::real
