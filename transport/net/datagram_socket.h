// SPDX-License-Identifier: Apache-2.0
// DatagramSocket: the byte seam for datagrams (UDP).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "transport/base/error.h"
#include "transport/base/time.h"
#include "transport/net/address.h"
#include "transport/wire/block.h"

namespace twinwire {

enum class Ecn : std::uint8_t { not_ect = 0, ect1 = 1, ect0 = 2, ce = 3 };  // RFC 3168, section 5

// A datagram to send; the bytes are borrowed until send() returns.
struct Datagram {
  Address remote;
  Address local{};  // the source to send from; all zero: the socket's own
  Ecn ecn = Ecn::not_ect;
  std::uint16_t segment_size =
      0;  // not 0: `bytes` is cut into datagrams of this size, the last may be shorter (GSO)
  std::span<const std::byte> bytes;
};

// A datagram that arrived; the bytes are lent by the network, as in ByteStream::read.
struct ReceivedDatagram {
  Address remote;
  Address local;
  Ecn ecn = Ecn::not_ect;
  std::uint16_t segment_size = 0;  // not 0: several datagrams of this size, glued together (GRO)
  Slice bytes;
};
using DatagramBatch = std::vector<ReceivedDatagram>;

class DatagramSocket {
 public:
  // Frees the descriptor and the port; what has not been received is lost. No operation may be in progress.
  virtual ~DatagramSocket() = default;

  // Hands datagrams to the network, in order. Success says how many it took (>= 1): not that they will arrive. What
  // failed behind them is told by the next call, if it fails again.
  // Requires   At least one datagram.
  // Errors     too_large (the first one, or one of its segments, exceeds the MTU or 65,507 bytes; it was dropped) ·
  //            refused (an earlier one met a closed port; nothing of this call was sent) · unreachable (also an address
  //            that this socket cannot have: port 0, another family, a source that is not ours) · timed_out (the
  //            deadline had passed: nothing was sent) · canceled · no_resources
  virtual Result<std::size_t> send(std::span<const Datagram> datagrams, Deadline deadline) = 0;

  // At least one datagram, in order of arrival.
  // Errors     refused (as above) · timed_out · canceled · no_resources
  virtual Result<DatagramBatch> receive(Deadline deadline) = 0;

  virtual Address local() const noexcept = 0;
};

}  // namespace twinwire
