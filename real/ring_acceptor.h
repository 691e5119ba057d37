// SPDX-License-Identifier: Apache-2.0
// RingAcceptor: a listening TCP socket. What accept promises stands in transport/net/byte_stream.h.
#pragma once

#include "real/descriptor.h"
#include "transport/net/byte_stream.h"

namespace twinwire::real {

class Ring;

class RingAcceptor final : public Acceptor {
 public:
  // `socket` listens on `local`, and has the options that its connections are to inherit.
  RingAcceptor(Ring& ring, DescriptorRef socket, const Address& local) noexcept;
  ~RingAcceptor() override;

  Result<std::unique_ptr<ByteStream>> accept(Deadline deadline) override;
  Address local() const noexcept override { return local_; }

 private:
  Ring* ring_;
  DescriptorRef socket_;
  Address local_;
};

}  // namespace twinwire::real
