// SPDX-License-Identifier: Apache-2.0
#include "transport/accept_stage.h"

#include <algorithm>

#include "transport/base/plant.h"

namespace twinwire {
namespace {

// While descriptors are out the loop must not spin: it sleeps so long, then twice as long, up to the second.
constexpr Duration backoff_first = std::chrono::milliseconds(5);
constexpr Duration backoff_max = std::chrono::seconds(1);

}  // namespace

AcceptLoop::AcceptLoop(Network& network, Scope& background, const AcceptOptions& options,
                       Sink& sink, bool handshakes) noexcept
    : network_(&network),
      background_(&background),
      options_(options),
      sink_(&sink),
      handshakes_(handshakes) {
  TWINWIRE_CHECK(options.handshakes_max >= 1 && options.ready_max >= 1,
                 "an accept stage needs room for one connection");
}

void AcceptLoop::report(Error error) noexcept {
  ++counters.errors;
  error_ = error;  // the latest; a flood of them must not pile up
  arrivals.wake_one(network_->scheduler());
}

void AcceptLoop::run(std::unique_ptr<Acceptor> acceptor) {
  Scheduler& scheduler = network_->scheduler();
  Duration backoff = backoff_first;
  for (;;) {
    while (sink_->ready() >= options_.ready_max)
      if (room.wait(scheduler, Deadline::never(), "room among accepted connections") ==
          Wake::canceled)
        return;
    auto stream = acceptor->accept(Deadline::never());
    if (!stream) {
      if (stream.error() == Errc::canceled) return;
      report(stream.error());
      if (PLANT(accept_error_ends_listener)) return;
      if (stream.error() == Errc::no_resources && !PLANT(accept_spins_without_descriptors)) {
        if (!scheduler.sleep_for(backoff)) return;
        backoff = std::min(2 * backoff, backoff_max);
      }
      continue;
    }
    backoff = backoff_first;
    ++counters.accepted;
    if (handshakes_ && !PLANT(accept_waits_for_handshake))
      start_handshake(std::move(*stream));
    else
      run_handshake(std::move(*stream));
  }
}

void AcceptLoop::start_handshake(std::unique_ptr<ByteStream> stream) {
  try {
    unfinished_.emplace_back();  // room for the handle, before there is a fiber to forget
  } catch (const std::bad_alloc&) {
    return report({Errc::no_resources, 0});
  }
  unfinished_.pop_back();
  if (unfinished_count_ >= options_.handshakes_max && !PLANT(handshakes_without_bound))
    evict_oldest();
  auto fiber = background_->try_spawn(
      "handshake", [this, keep = sink_->keep_alive(), stream = std::move(stream)]() mutable {
        run_handshake(std::move(stream));
        --unfinished_count_;
        while (!unfinished_.empty() && unfinished_.front().get() == nullptr)
          unfinished_.pop_front();
      });
  if (!fiber) return report(fiber.error());
  ++unfinished_count_;
  unfinished_.push_back(*fiber);
}

void AcceptLoop::run_handshake(std::unique_ptr<ByteStream> stream) {
  const Deadline deadline = PLANT(handshake_without_timeout)
                                ? Deadline::never()
                                : network_->clock().in(options_.handshake_timeout);
  if (!sink_->handshake(std::move(stream), deadline)) ++counters.handshakes_failed;
}

void AcceptLoop::evict_oldest() noexcept {
  while (!unfinished_.empty()) {
    const FiberHandle oldest =
        PLANT(evict_newest_handshake) ? unfinished_.back() : unfinished_.front();
    if (PLANT(evict_newest_handshake))
      unfinished_.pop_back();
    else
      unfinished_.pop_front();
    if (oldest.get() == nullptr) continue;
    ++counters.handshakes_evicted;
    network_->scheduler().cancel(oldest);
    return;
  }
}

void AcceptLoop::cancel() noexcept {
  network_->scheduler().cancel(fiber_);
  for (const FiberHandle& handshake : unfinished_) network_->scheduler().cancel(handshake);
}

}  // namespace twinwire
