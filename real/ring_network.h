// SPDX-License-Identifier: Apache-2.0
// RingNetwork: the kernel's TCP and UDP, on one Ring. What each call promises stands in transport/net/network.h.
//
// Of its own: a dial that the kernel itself gave up (ETIMEDOUT) is `timed_out`; a dial that by accident reached itself
// (a local port that was free a moment ago) is `refused`.
#pragma once

#include "real/ring.h"
#include "transport/net/network.h"

namespace twinwire::real {

class RingNetwork final : public Network {
 public:
  explicit RingNetwork(Ring& ring) noexcept
      : ring_(&ring), background_(ring.scheduler(), ring.scheduler().root_entity()) {}

  Result<std::unique_ptr<Acceptor>> listen(const Address& address,
                                           const ListenOptions& options) override;
  Result<std::unique_ptr<ByteStream>> dial(const Address& address, const StreamOptions& options,
                                           Deadline deadline) override;
  Result<std::unique_ptr<DatagramSocket>> bind(const Address& address,
                                               const DatagramOptions& options) override;

  Scope& background() noexcept override { return background_; }
  Scheduler& scheduler() noexcept override { return ring_->scheduler(); }
  Clock& clock() noexcept override { return ring_->clock(); }
  Random& random() noexcept override { return ring_->random(); }
  BufferPool& buffers() noexcept override { return ring_->buffers(); }

 private:
  Result<DescriptorRef> open(const Address& address, int type) noexcept;

  Ring* ring_;
  Scope background_;
};

}  // namespace twinwire::real
