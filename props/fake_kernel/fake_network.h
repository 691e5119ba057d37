// SPDX-License-Identifier: Apache-2.0
// FakeNetwork: the Network of a node that has a ring over the fake kernel. Its streams and acceptors are the
// ring's own; each is wrapped in a watch that holds it to what it promises: an operation returns when the kernel
// has let go, says why it failed truly, and does not sleep while what it waits for is there.
#pragma once

#include <memory>

#include "props/fake_kernel/fake_kernel.h"
#include "real/ring_core.h"
#include "transport/net/network.h"

namespace twinwire::fake {

class FakeNetwork final : public Network {
 public:
  // `own` lends its clock, its randomness and its scope; `address` is the node's.
  FakeNetwork(FakeKernel& kernel, real::RingCore& core, Network& own, const Address& address)
      : kernel_(&kernel), core_(&core), own_(&own), address_(address) {}

  Result<std::unique_ptr<Acceptor>> listen(const Address& address,
                                           const ListenOptions& options) override;
  Result<std::unique_ptr<ByteStream>> dial(const Address& address, const StreamOptions& options,
                                           Deadline deadline) override;
  // The fake kernel has no datagrams.
  Result<std::unique_ptr<DatagramSocket>> bind(const Address&, const DatagramOptions&) override {
    return Errc::unsupported;
  }
  Scope& background() noexcept override { return own_->background(); }
  Scheduler& scheduler() noexcept override { return own_->scheduler(); }
  Clock& clock() noexcept override { return own_->clock(); }
  Random& random() noexcept override { return own_->random(); }
  BufferPool& buffers() noexcept override { return own_->buffers(); }

 private:
  FakeKernel* kernel_;
  real::RingCore* core_;
  Network* own_;
  Address address_;
};

}  // namespace twinwire::fake
