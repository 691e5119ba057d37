// SPDX-License-Identifier: Apache-2.0
#include "real/ring_core.h"

#include "transport/base/check.h"

namespace twinwire::real {

RingCore::RingCore(Kernel& kernel, Scheduler& scheduler, const RingOptions& options) noexcept
    : options_(options),
      scheduler_(&scheduler),
      large_buffers_(large_receive_buffer, 0, options.receive_buffers_max),
      small_buffers_(small_receive_buffer, 1, options.receive_buffers_max),
      kernel_(kernel, counters_),
      timer_(kernel_),
      operations_(kernel_, scheduler, counters_, options.operations_max),
      refuser_(kernel) {}

RingCore::~RingCore() {
  settle();
  TWINWIRE_CHECK(operations_.in_flight() == 0,
                 "a ring was destroyed while the kernel still worked for it");
}

int RingCore::open(const RingOptions& options) noexcept {
  if (const int error = kernel_.open(options); error != 0) return error;
  if (options.zero_copy_min != 0 && kernel_.supports(IORING_OP_SENDMSG_ZC))
    zero_copy_min_ = options.zero_copy_min;
  // Without provided buffers (before Linux 5.19) each receive brings its own.
  if (options.provided_buffers == 0) return 0;
  if (large_buffers_.provide(kernel_, options.provided_buffers) && options.multishot_receive)
    (void)small_buffers_.provide(kernel_, options.provided_buffers);
  return 0;
}

void RingCore::settle() noexcept {
  // Each turn sleeps until something completes, or for a tenth of a second.
  constexpr int turns_max = 10;
  std::size_t before = 0;
  for (int idle = 0; operations_.in_flight() != 0 && idle < turns_max; ++idle) {
    if (operations_.in_flight() != before) idle = 0;
    before = operations_.in_flight();
    turn(std::chrono::milliseconds(100));
  }
}

void RingCore::turn(Duration wait) noexcept {
  const bool all_queued = operations_.submit_queued();
  if (wait > Duration::zero() && all_queued && !kernel_.has_completions())
    kernel_.wait(wait);
  else
    kernel_.poll();
  reap();
}

void RingCore::turn(TimePoint until, TimePoint now) noexcept {
  if (until <= now) return turn(Duration::zero());
  // Sleeps until something completes, and the timer is what completes at the latest.
  const bool armed = until == TimePoint::never() || timer_.arm(until);
  turn(armed ? Duration::max() : until - now);
}

void RingCore::reap() noexcept {
  kernel_.reap([this](std::uint64_t user_data) { operations_.prefetch(user_data); },
               [this](std::uint64_t user_data, std::int32_t result, std::uint32_t flags) {
                 if (user_data >= RingMessages::first) [[unlikely]]
                   complete_own(user_data, result);
                 else
                   operations_.complete(user_data, result, flags);
               });
}

void RingCore::complete_own(std::uint64_t user_data, std::int32_t result) noexcept {
  if (user_data == RingTimer::user_data) return timer_.completed();
  if (messages_ == nullptr) return;
  if (user_data == RingMessages::arrived)
    messages_->on_ring_message(static_cast<std::uint32_t>(result));
  else
    messages_->on_ring_message_failed(
        static_cast<std::uint32_t>(user_data - RingMessages::failed(0)), -result);
}

}  // namespace twinwire::real
