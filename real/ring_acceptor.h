// SPDX-License-Identifier: Apache-2.0
// RingAcceptor: a listening TCP socket. What accept promises stands in transport/net/byte_stream.h.
//
// One accept that goes on (multishot), where the kernel has it: many connections an enter. Those that nobody took yet
// wait here, a few; then it is ended, and the rest waits in the backlog.
#pragma once

#include <vector>

#include "real/descriptor.h"
#include "transport/net/byte_stream.h"

namespace twinwire::real {

class RingCore;

class RingAcceptor final : public Acceptor, public CompletionHandler {
 public:
  // `socket` listens on `local`, and has the options that its connections are to inherit.
  RingAcceptor(RingCore& core, DescriptorRef socket, const Address& local) noexcept;
  ~RingAcceptor() override;

  Result<std::unique_ptr<ByteStream>> accept(Deadline deadline) override;
  Address local() const noexcept override { return local_; }

  void on_completion(std::int32_t result, std::uint32_t flags, bool last) noexcept override;

 private:
  // The next connection's descriptor, and who is at its other end.
  Result<int> next(Deadline deadline, Address& peer);
  Result<int> accept_one(Deadline deadline, Address& peer);
  bool start() noexcept;

  RingCore* core_;
  DescriptorRef socket_;
  Address local_;
  bool goes_on_;           // the kernel has an accept that goes on
  bool going_on_ = false;  // it is in flight
  bool stopping_ = false;  // and was told to end
  Fiber* accepting_ = nullptr;
  std::vector<int> queue_;  // accepted and not taken, or a negative errno; from taken_ on
  std::size_t taken_ = 0;
};

}  // namespace twinwire::real
