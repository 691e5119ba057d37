// SPDX-License-Identifier: Apache-2.0
// HandshakeGate: fibers whose peer has not yet proven who it is. Bounded: at the bound the oldest is told to stop.
#pragma once

#include <cstddef>

#include "transport/fiber/scheduler.h"

namespace twinwire::bus {

class HandshakeGate {
 public:
  HandshakeGate(Scheduler& scheduler, std::size_t max) noexcept
      : scheduler_(&scheduler), max_(max) {}
  HandshakeGate(const HandshakeGate&) = delete;
  HandshakeGate& operator=(const HandshakeGate&) = delete;

  // While it lives its fiber is inside. Lies on that fiber's stack.
  class Pass {
   public:
    explicit Pass(HandshakeGate& gate) noexcept;
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    ~Pass();

   private:
    friend class HandshakeGate;
    HandshakeGate* gate_;
    Fiber* fiber_;
    Pass* older_;
    Pass* newer_ = nullptr;
    bool told_ = false;  // to stop: counts no more
  };

  // Tells all that are inside to stop.
  void cancel_all() noexcept;

  std::size_t inside() const noexcept { return inside_; }
  std::size_t evicted() const noexcept { return evicted_; }

 private:
  void evict_oldest() noexcept;

  Scheduler* scheduler_;
  std::size_t max_;
  Pass* oldest_ = nullptr;
  Pass* newest_ = nullptr;
  std::size_t inside_ = 0;  // and not told to stop
  std::size_t evicted_ = 0;
};

}  // namespace twinwire::bus
