// SPDX-License-Identifier: Apache-2.0
// The handshake and the reading half of TlsCore: the inbound pump.
#include <algorithm>

#include "transport/base/plant.h"
#include "transport/base/sometimes.h"
#include "transport/tls/tls_core.h"

namespace twinwire {
namespace {

// Plaintext that waits for the reader. Beyond it the pump reads no more, and the network pushes back on the peer.
constexpr std::size_t plaintext_max = 128 * 1024;
constexpr Duration farewell_max = std::chrono::seconds(2);  // for an alert to a peer that failed
constexpr Duration shortage_pause = std::chrono::milliseconds(1);

}  // namespace

Result<void> TlsCore::handshake(Deadline deadline) {
  for (;;) {
    const auto done = engine_->handshake();
    if (!done) {
      tell_refusal(earlier(deadline, clock_->in(farewell_max)));
      return done.error();
    }
    if (auto flushed = flush(deadline); !flushed) return flushed.error();
    if (*done) {
      if (engine_->resumed()) scheduler_->reached(Sometimes::tls_resumed);
      return {};
    }
    auto bytes = lower_->read(deadline);
    if (!bytes) return bytes.error();
    if (bytes->empty()) return Errc::broken;
    engine_->feed(std::move(*bytes));
  }
}

// The alert that says why, and time for the peer to read it: a reset at once could destroy it on its way.
void TlsCore::tell_refusal(Deadline deadline) {
  if (!flush(deadline) || !lower_->shutdown_write(deadline)) return;
  for (;;) {
    const auto bytes = lower_->read(deadline);
    if (!bytes || bytes->empty()) return;
  }
}

Result<void> TlsCore::start_pump() {
  auto fiber = background_->try_spawn("tls.in", [core = shared_from_this()] { core->pump_in(); });
  if (!fiber) return fiber.error();
  return {};
}

void TlsCore::pump_in() {
  // What came with the last flight of the handshake is in the engine.
  if (engine_->has_input() && !take_in({})) return;
  for (;;) {
    if (!wait_for_room()) return fail({Errc::broken, 0});
    if (aborted_) return;
    auto bytes = lower_->read(Deadline::never());
    if (!bytes && bytes.error() == Errc::no_resources) {
      // Every receive buffer is lent out, none of them to us.
      if (!scheduler_->sleep_for(shortage_pause)) return fail({Errc::broken, 0});
      continue;
    }
    if (!bytes) return fail(bytes.error());
    if (bytes->empty()) {
      lower_ended_ = true;
      // Whoever cuts the connection cannot forge the good-bye: without it something may be missing.
      if (!engine_->peer_ended()) {
        scheduler_->reached(Sometimes::tls_cut_without_goodbye);
        if (!PLANT(eof_without_close_notify_is_closed)) return fail({Errc::broken, 0});
#ifdef TWINWIRE_PLANTS
        engine_->pretend_peer_ended();
#endif
      }
      readable_.wake_all(*scheduler_);
      return;
    }
    if (!take_in(std::move(*bytes))) return;
  }
}

Result<void> TlsCore::wait_for_room() {
  while (plaintext_.size() >= plaintext_max && !aborted_ && !PLANT(inbound_without_bound)) {
    scheduler_->reached(Sometimes::tls_plaintext_waits);
    const Wake wake = room_.wait(*scheduler_, Deadline::never(), "room for decrypted bytes");
    if (wake != Wake::ready) return to_errc(wake);
  }
  return {};
}

// False where the session is over.
bool TlsCore::take_in(Slice ciphertext) {
  if (!ciphertext.empty()) engine_->feed(std::move(ciphertext));
  const std::size_t before = plaintext_.size();
  Result<void> opened = engine_->open(plaintext_);
  while (!opened && opened.error() == Errc::no_resources && !aborted_) {
    if (!scheduler_->sleep_for(shortage_pause)) break;
    opened = engine_->open(plaintext_);
  }
#ifdef TWINWIRE_PLANTS
  if (lose_next_ && plaintext_.size() != before) {
    lose_next_ = false;
    plaintext_.clear();
  }
#endif
  if (!opened) {
    if (opened.error() == Errc::broken) scheduler_->reached(Sometimes::tls_record_refused);
    tell_violation();
    fail(opened.error());
    return false;
  }
  if (plaintext_.size() != before || engine_->peer_ended()) readable_.wake_all(*scheduler_);
  flush_in_background();
  return true;
}

// The alert for a peer that violated the protocol, if nobody is writing and the network takes it soon.
void TlsCore::tell_violation() {
  if (turn_taken_ || aborted_ || write_error_ || shutting_ || engine_->output().empty()) return;
  turn_taken_ = true;
  if (auto told = flush(clock_->in(farewell_max)); !told) drop_write(told.error());
  give_turn();
}

Result<void> TlsCore::wait_readable(Deadline deadline) {
  if (const auto refused = scheduler_->refuses(deadline)) return *refused;
  for (;;) {
    if (aborted_) return Errc::broken;
    if (!plaintext_.empty() || at_end()) return {};
    if (failure_) return *failure_;
    const Wake wake = readable_.wait(*scheduler_, deadline, "bytes of a TLS session");
    if (wake != Wake::ready && plaintext_.empty() && !at_end() && !failure_) {
#ifdef TWINWIRE_PLANTS
      if (PLANT(canceled_read_loses_plaintext)) lose_next_ = true;
#endif
      return to_errc(wake);
    }
  }
}

void TlsCore::consumed() noexcept {
  if (plaintext_.size() < plaintext_max) room_.wake_one(*scheduler_);
}

}  // namespace twinwire
