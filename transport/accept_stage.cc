// SPDX-License-Identifier: Apache-2.0
#include "transport/accept_stage.h"

#include <algorithm>

#include "transport/base/plant.h"
#include "transport/base/sometimes.h"

namespace twinwire {
namespace {

// While descriptors are out the loop must not spin: it sleeps so long, then twice as long, up to the second.
constexpr Duration backoff_first = std::chrono::milliseconds(5);
constexpr Duration backoff_max = std::chrono::seconds(1);
constexpr std::uint32_t errors_at_once = 16;  // other than shortages; one connection each
// Unfinished handshakes that a shortage may cost at one time: newcomers come in crowds too.
constexpr int evictions_at_once = 16;

}  // namespace

std::string_view refusal_words(Errc code) noexcept {
  switch (code) {
    case Errc::timed_out: return "handshake timed out";
    case Errc::closed:
    case Errc::broken: return "it ended the connection during the handshake";
    case Errc::invalid:
    case Errc::too_large: return "its first message is no valid frame";
    case Errc::no_resources: return "no memory or descriptor is left for it";
    default: return "handshake failed";
  }
}

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
  accept_all(*acceptor);
  ended_ = true;
  arrivals.wake_all(network_->scheduler());
}

void AcceptLoop::accept_all(Acceptor& acceptor) {
  for (;;) {
    while (sink_->ready() >= options_.ready_max && !PLANT(ready_without_bound)) {
      network_->scheduler().reached(Sometimes::accept_held_back);
      if (room.wait(network_->scheduler(), Deadline::never(), "room among accepted connections") ==
          Wake::canceled)
        return;
    }
    auto stream = acceptor.accept(Deadline::never());
    if (!stream) {
      if (stream.error() == Errc::canceled) return;
      report(stream.error());
      if (PLANT(accept_error_ends_listener) || !pause_after(stream.error())) return;
      continue;
    }
    errors_in_a_row_ = 0;
    ++counters.accepted;
    if (handshakes_ && !PLANT(accept_waits_for_handshake))
      start_handshake(std::move(*stream));
    else
      run_handshake(std::move(*stream), false);
  }
}

// One connection that died in the backlog costs no time. A shortage does, and so does an error that does not go away.
// Errors     canceled
Result<void> AcceptLoop::pause_after(const Error& error) {
  if (errors_in_a_row_++ == 0) backoff_ = backoff_first;
  if (error != Errc::no_resources && errors_in_a_row_ <= errors_at_once) return {};
  if (PLANT(accept_spins_without_descriptors)) return {};
  if (PLANT(accept_sleeps_after_shortage) && error == Errc::no_resources &&
      room.wait(network_->scheduler(), Deadline::never(), "room") == Wake::canceled)
    return Errc::canceled;
  network_->scheduler().reached(Sometimes::accept_paused);
  const Duration pause = error == Errc::no_resources ? make_room() : backoff_;
  auto slept = network_->scheduler().sleep_for(pause);
  backoff_ = std::min(2 * backoff_, backoff_max);
  return slept;
}

// Takes their descriptors from the unfinished handshakes that have had their time. Returns when to try again: once
// those descriptors are free, or at the latest when the next one's time is up.
Duration AcceptLoop::make_room() noexcept {
  const TimePoint now = network_->scheduler().now();
  const TimePoint latest = now + -options_.handshake_when_short;
  int evicted = 0;
  while (evicted < evictions_at_once && evict_oldest(latest, 0)) ++evicted;
  if (evicted > 0) return backoff_ = backoff_first;
  if (unfinished_.empty()) return backoff_;
  return std::clamp(unfinished_.front().began - latest, backoff_first, backoff_);
}

void AcceptLoop::start_handshake(std::unique_ptr<ByteStream> stream) {
  const Address peer = stream->peer();
  const auto no_room = [&](const Error& error) {
    refused(peer, error, {}, false);
    report(error);
  };
  std::shared_ptr<bool> evicted;
  try {
    evicted = std::make_shared<bool>(false);
    // A place for the handle, before there is a fiber to forget.
    unfinished_.push_back({{}, evicted, network_->scheduler().now()});
  } catch (const std::bad_alloc&) {
    return no_room({Errc::no_resources, 0});
  }
  if (unfinished_count_ >= options_.handshakes_max && !PLANT(handshakes_without_bound))
    (void)evict_oldest(TimePoint::never(), 1);  // the last place is that of the one about to begin
  auto fiber = background_->try_spawn(
      "handshake", [this, keep = sink_->keep_alive(), stream = std::move(stream),
                    evicted = std::move(evicted)]() mutable {
        const bool done = run_handshake(std::move(stream), *evicted);
        if (done || !PLANT(failed_handshake_keeps_slot)) --unfinished_count_;
      });
  if (!fiber) {
    unfinished_.pop_back();
    return no_room(fiber.error());
  }
  ++unfinished_count_;
  unfinished_.back().fiber = *fiber;
  // Handles of ended handshakes are swept out now and then, so that each costs a constant.
  if (unfinished_.size() > 2 * unfinished_count_ + 16)
    std::erase_if(unfinished_, [](const Unfinished& one) { return one.fiber.get() == nullptr; });
}

bool AcceptLoop::run_handshake(std::unique_ptr<ByteStream> stream, const bool& evicted) {
  const Address peer = stream->peer();
  std::string why;
  const Deadline deadline = PLANT(handshake_without_timeout)
                                ? Deadline::never()
                                : network_->clock().in(options_.handshake_timeout);
  const auto done = sink_->handshake(std::move(stream), {deadline, &why});
  if (done) return true;
  ++counters.handshakes_failed;
  if (done.error() == Errc::timed_out)
    network_->scheduler().reached(Sometimes::handshake_timed_out);
  refused(peer, done.error(), why, evicted);
  // The peer's failures are the peer's; a shortage is for the caller to know.
  if (done.error() == Errc::no_resources) report(done.error());
  return false;
}

void AcceptLoop::refused(const Address& peer, const Error& error, std::string_view why,
                         bool evicted) noexcept {
  // Who is told to stop for another reason was not refused: the listener is going.
  const bool stopped = error == Errc::canceled;
  if (!options_.on_refused || abandoned_ || (stopped && !evicted)) return;
  if (stopped)
    why = "evicted by newer handshakes";
  else if (why.empty() || error == Errc::timed_out)
    why = refusal_words(error.code);
  options_.on_refused(peer, why);
}

bool AcceptLoop::evict_oldest(TimePoint latest, std::size_t kept) noexcept {
  while (unfinished_.size() > kept) {
    const auto at = PLANT(evict_newest_handshake)
                        ? unfinished_.end() - static_cast<std::ptrdiff_t>(kept + 1)
                        : unfinished_.begin();
    const bool ended = at->fiber.get() == nullptr;
    if (!ended && at->began > latest) return false;
    const Unfinished oldest = std::move(*at);
    unfinished_.erase(at);
    if (ended) continue;
    ++counters.handshakes_evicted;
    network_->scheduler().reached(Sometimes::handshake_evicted);
    *oldest.evicted = true;
    network_->scheduler().cancel(oldest.fiber);
    return true;
  }
  return false;
}

void AcceptLoop::cancel() noexcept {
  abandoned_ = true;
  network_->scheduler().cancel(fiber_);
  for (const Unfinished& one : unfinished_) network_->scheduler().cancel(one.fiber);
}

}  // namespace twinwire
