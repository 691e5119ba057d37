// SPDX-License-Identifier: Apache-2.0
#include "transport/bus/handshake_gate.h"

#include "transport/base/plant.h"

namespace twinwire::bus {

HandshakeGate::Pass::Pass(HandshakeGate& gate) noexcept
    : gate_(&gate), fiber_(&gate.scheduler_->current()), older_(gate.newest_) {
  if (gate.inside_ >= gate.max_ && !PLANT(bus_handshakes_without_bound)) gate.evict_oldest();
  (older_ != nullptr ? older_->newer_ : gate.oldest_) = this;
  gate.newest_ = this;
  ++gate.inside_;
}

HandshakeGate::Pass::~Pass() {
  (older_ != nullptr ? older_->newer_ : gate_->oldest_) = newer_;
  (newer_ != nullptr ? newer_->older_ : gate_->newest_) = older_;
  if (!told_) --gate_->inside_;
}

void HandshakeGate::evict_oldest() noexcept {
  Pass* pass = oldest_;
  while (pass != nullptr && pass->told_) pass = pass->newer_;
  if (pass == nullptr) return;
  pass->told_ = true;
  --inside_;
  ++evicted_;
  scheduler_->cancel(*pass->fiber_);
}

void HandshakeGate::cancel_all() noexcept {
  for (Pass* pass = oldest_; pass != nullptr; pass = pass->newer_)
    scheduler_->cancel(*pass->fiber_);
}

}  // namespace twinwire::bus
