// SPDX-License-Identifier: Apache-2.0
// RingCore: the machinery of one ring: the io_uring, what is in flight on it, and the buffers that bytes arrive in.
// Streams, sockets and acceptors stand on it; a Ring (ring.h) gives it a thread, a clock and a scheduler of its own.
#pragma once

#include "real/counters.h"
#include "real/descriptor.h"
#include "real/kernel.h"
#include "real/kernel_ring.h"
#include "real/operation.h"
#include "real/receive_buffers.h"
#include "real/ring_messages.h"
#include "real/ring_options.h"
#include "real/ring_timer.h"
#include "transport/fiber/scheduler.h"

namespace twinwire::real {

class RingCore {
  // See refuser().
  class Refuser final : public CompletionHandler {
   public:
    explicit Refuser(Kernel& kernel) noexcept : kernel_(&kernel) {}
    void on_completion(std::int32_t result, std::uint32_t, bool) noexcept override {
      if (result >= 0) kernel_->close_with_reset(result);
    }

   private:
    Kernel* kernel_;
  };

 public:
  // `kernel` and `scheduler` outlive it.
  RingCore(Kernel& kernel, Scheduler& scheduler, const RingOptions& options) noexcept;
  RingCore(const RingCore&) = delete;
  RingCore& operator=(const RingCore&) = delete;
  // After every stream and socket is gone and every slice was dropped: checked, aborts. Awaits what they told to end.
  ~RingCore();

  // For the calling thread. 0 or an errno, as KernelRing::open().
  int open(const RingOptions& options) noexcept;

  // One enter at most: submits what the fibers asked for, fetches what is complete and makes their fibers ready.
  // `wait`: how long it may sleep for the first completion; zero: not at all.
  void turn(Duration wait) noexcept;
  // The same; may sleep until `until`, of CLOCK_MONOTONIC, where it is `now`.
  void turn(TimePoint until, TimePoint now) noexcept;
  // Whether a turn() has something to do without sleeping.
  bool has_work() const noexcept { return operations_.any_queued() || kernel_.has_completions(); }

  // Turns until the kernel has let go of everything. Requires that everything was told to end; what was not within a
  // second is in flight still.
  void settle() noexcept;

  RingMode mode() const noexcept { return kernel_.mode(); }
  Kernel& kernel() const noexcept { return kernel_.kernel(); }
  KernelRing& kernel_ring() noexcept { return kernel_; }
  Scheduler& scheduler() noexcept { return *scheduler_; }
  Operations& operations() noexcept { return operations_; }
  const RingOptions& options() const noexcept { return options_; }
  Counters& count() noexcept { return counters_; }
  DescriptorRef adopt(int fd) noexcept { return DescriptorRef::adopt(operations_, counters_, fd); }

  // Whether the next enter would be for the current fiber alone.
  bool is_quiet() const noexcept {
    return !scheduler_->others_ready() && !operations_.any_queued() && !kernel_.has_submissions();
  }
  // Whether a write of `size` bytes goes without a copy.
  bool sends_without_copy(std::size_t size) const noexcept { return size >= zero_copy_min_; }

  // For an accept whose acceptor is gone: what it still brings is reset.
  CompletionHandler& refuser() noexcept { return refuser_; }

  // Who is told of what other rings send here, and of what they did not get; nullptr: nobody.
  void tell_of_messages(RingMessageHandler* handler) noexcept { messages_ = handler; }

  // For one receive at a time: large. For receives that go on: small, since a connection that nobody reads holds some.
  ReceiveBuffers& receive_buffers() noexcept { return large_buffers_; }
  ReceiveBuffers& small_receive_buffers() noexcept { return small_buffers_; }

 private:
  void reap() noexcept;
  void complete_own(std::uint64_t user_data, std::int32_t result) noexcept;

  RingOptions options_;
  std::size_t zero_copy_min_ = SIZE_MAX;
  Scheduler* scheduler_;
  RingMessageHandler* messages_ = nullptr;
  Counters counters_;
  ReceiveBuffers large_buffers_;
  ReceiveBuffers small_buffers_;
  KernelRing kernel_;
  RingTimer timer_;
  Operations operations_;
  Refuser refuser_;
};

}  // namespace twinwire::real
