// SPDX-License-Identifier: Apache-2.0
// Ring: one thread's production world: an io_uring, the scheduler that enters it when no fiber can run, and the pools.
//
//   auto ring = Ring::create({});
//   if (!ring) return fail(explain_no_ring(ring.error()));          // real/probe.h
//   RingNetwork network(**ring);                                    // real/ring_network.h
//   Scope scope((*ring)->scheduler());
//   scope.spawn("main", [&] { ... network.dial(...) ... });
//   (*ring)->scheduler().run();
//
// Where to read on: ring_core.h (its parts), operation.h (one request to the kernel, from start to terminal
// completion), descriptor.h (an open file and what is in flight on it), ring_stream.h, ring_datagram.h, kernel_ring.h
// (the io_uring itself).
#pragma once

#include <memory>

#include "real/latency_histogram.h"
#include "real/ring_clock.h"
#include "real/ring_core.h"
#include "real/ring_options.h"
#include "real/ring_random.h"
#include "transport/base/error.h"
#include "transport/fiber/scheduler.h"
#include "transport/fiber/stack_pool.h"
#include "transport/wire/buffer_pool.h"

namespace twinwire::real {

class Ring final : public Host {
 public:
  // A ring for the calling thread: it must be used and destroyed there.
  // Errors     unsupported (no io_uring, or forbidden) · no_resources; explain_no_ring() says it in a sentence
  static Result<std::unique_ptr<Ring>> create(const RingOptions& options);
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  // After every fiber has ended, every stream and socket is gone and every slice was dropped: checked, aborts.
  ~Ring();

  Scheduler& scheduler() noexcept { return scheduler_; }
  Clock& clock() noexcept { return clock_; }
  Random& random() noexcept { return random_; }
  BufferPool& buffers() noexcept { return buffers_; }
  StackPool& stacks() noexcept { return stacks_; }
  RingMode mode() const noexcept { return core_.mode(); }
  const Counters& counters() noexcept { return core_.count(); }
  RingCore& core() noexcept { return core_; }
  // How long the fibers ran between two turns; empty unless RingOptions::measure_turns. A long one kept every other
  // fiber, every timer and every completion waiting.
  const LatencyHistogram& busy() const noexcept { return busy_; }

  // Host. One turn is at most one io_uring_enter(2): it submits what the fibers asked for and fetches what is complete.
  TimePoint now() noexcept override { return clock_.now(); }
  bool turn(TimePoint until, bool idle) override;

 private:
  explicit Ring(const RingOptions& options) noexcept;

  LatencyHistogram busy_;
  bool measure_turns_;
  RingClock clock_;
  RingRandom random_;
  StackPool stacks_;
  BufferPool buffers_;
  Scheduler scheduler_;
  RingCore core_;
};

}  // namespace twinwire::real
