// SPDX-License-Identifier: Apache-2.0
// The writing half of TlsCore, and how it ends.
#include "transport/tls/tls_core.h"

#include <array>
#include <cerrno>

#include "transport/base/plant.h"
#include "transport/base/sometimes.h"

namespace twinwire {
namespace {

constexpr std::size_t write_max = 256 * 1024;  // plaintext that one write() takes
constexpr std::size_t pieces_max = 16;         // of one write to the stream below
constexpr Duration key_update_pause = std::chrono::milliseconds(500);  // TlsEngine::update_keys

}  // namespace

TlsCore::TlsCore(Network& network, std::unique_ptr<ByteStream> lower,
                 std::unique_ptr<TlsEngine> engine) noexcept
    : scheduler_(&network.scheduler()),
      background_(&network.background()),
      clock_(&network.clock()),
      buffers_(&network.buffers()),
      lower_(std::move(lower)),
      engine_(std::move(engine)),
      plaintext_(network.buffers(), true) {}

// ---- The write turn -------------------------------------------------------------------------------------------------

Result<void> TlsCore::take_turn(Deadline deadline) {
  while (turn_taken_) {
    const Wake wake = turn_.wait(*scheduler_, deadline, "the turn to write to a TLS session");
    if (wake != Wake::ready && turn_taken_) return to_errc(wake);
  }
  turn_taken_ = true;
  return {};
}

void TlsCore::give_turn() noexcept {
  turn_taken_ = false;
  turn_.wake_one(*scheduler_);
}

// Until no more than `keep` bytes are left. Whatever another fiber appends meanwhile goes out with it.
Result<void> TlsCore::flush(Deadline deadline, std::size_t keep) {
  BlockQueue& output = engine_->output();
  std::array<iovec, pieces_max> pieces;
  while (output.size() > keep) {
    if (aborted_ || write_error_) return write_error_.value_or(Error{Errc::broken, 0});
    const std::size_t count = output.gather(pieces);
    auto written = lower_->write({pieces.data(), count}, deadline);
    if (!written) return written.error();
    output.drop_front(*written);
  }
  return {};
}

void TlsCore::flush_in_background() {
  if (turn_taken_ || engine_->output().empty() || aborted_ || write_error_ || failure_) return;
  turn_taken_ = true;
  auto fiber = background_->try_spawn("tls.out", [core = shared_from_this()] {
    if (auto flushed = core->flush(Deadline::never()); !flushed) core->drop_write(flushed.error());
    core->give_turn();
  });
  if (fiber) return;
  give_turn();
  fail(fiber.error());
}

// ---- Writing --------------------------------------------------------------------------------------------------------

Error TlsCore::drop_write(Error why) noexcept {
  if (!write_error_) write_error_ = why;
  return why;
}

Result<std::size_t> TlsCore::write(std::span<const iovec> pieces, Deadline deadline) {
  if (const auto refused = scheduler_->refuses(deadline)) return *refused;
  const auto unusable = [&]() -> std::optional<Error> {
    if (aborted_) return Error{Errc::broken, 0};
    if (write_error_) return Error{Errc::broken, write_error_->os_errno};
    if (failure_) return failure_;
    if (shutting_) return Error{Errc::broken, EPIPE};
    return std::nullopt;
  };
  if (const auto error = unusable()) return *error;
  if (auto turn = take_turn(deadline); !turn) return turn.error();
  if (const auto error = unusable()) {
    give_turn();
    return *error;
  }
  auto sealed = engine_->seal(pieces, write_max);
  if (sealed && engine_->wants_new_keys() && clock_->now() >= next_key_update_) {
    next_key_update_ = clock_->now() + key_update_pause;
    scheduler_->reached(Sometimes::tls_key_update);
    if (auto updated = engine_->update_keys(); !updated) sealed = updated.error();
  }
  if (!sealed) {
    drop_write(sealed.error());
    give_turn();
    return sealed;
  }
  if (PLANT(write_returns_before_flush)) {
    give_turn();
    flush_in_background();
    return sealed;
  }
  // A call that fails from here on has left part of a record behind: nothing can follow it.
  const auto flushed = flush(deadline, PLANT(ciphertext_held_back) ? 512 : 0);
  if (!flushed) drop_write(flushed.error());
  give_turn();
  if (!flushed) return flushed.error();
  return sealed;
}

Result<void> TlsCore::update_keys(Deadline deadline) {
  if (aborted_ || write_error_ || failure_ || shutting_) return Errc::broken;
  if (auto turn = take_turn(deadline); !turn) return turn.error();
  Result<void> updated = engine_->update_keys();
  if (updated) updated = flush(deadline);
  if (!updated) drop_write(updated.error());
  give_turn();
  return updated;
}

Result<void> TlsCore::shutdown_write(Deadline deadline) {
  if (shut_) return {};
  if (aborted_) return Errc::broken;
  if (write_error_) return Error{Errc::broken, write_error_->os_errno};
  if (failure_) return *failure_;
  shutting_ = true;
  if (auto turn = take_turn(deadline); !turn) return turn.error();
  Result<void> done = engine_->bye();
  if (done) done = flush(deadline);
  if (done) done = lower_->shutdown_write(deadline);
  shut_ = done.has_value();
  give_turn();
  return done;
}

// ---- The end --------------------------------------------------------------------------------------------------------

// Whatever it was, for the user the connection is broken: nothing that could be tried again.
void TlsCore::fail(Error why) noexcept {
  if (!failure_) failure_ = Error{Errc::broken, why.os_errno};
  readable_.wake_all(*scheduler_);
  turn_.wake_all(*scheduler_);
}

void TlsCore::abort() noexcept {
  if (aborted_) return;
  if (PLANT(abort_sends_close_notify)) {
    (void)engine_->bye();
    (void)lower_->shutdown_write(Deadline::never());
  }
  aborted_ = true;
  lower_->abort();
  readable_.wake_all(*scheduler_);
  turn_.wake_all(*scheduler_);
  room_.wake_all(*scheduler_);
}

void TlsCore::leave() noexcept {
  left_ = true;
  if (!shut_ || !lower_ended_ || failure_) abort();
  room_.wake_all(*scheduler_);
}

}  // namespace twinwire
