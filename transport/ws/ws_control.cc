// SPDX-License-Identifier: Apache-2.0
// Control frames, each with a write of its own, in turn with the batches: none can split a data frame.
#include <cstring>

#include "transport/base/plant.h"
#include "transport/base/sometimes.h"
#include "transport/net/write_all.h"
#include "transport/ws/ws_core.h"

namespace twinwire {
namespace {

// How long a peer that violated the protocol may delay the drop by not taking its Close frame.
constexpr Duration farewell_limit = std::chrono::milliseconds(100);

}  // namespace

Result<void> WsCore::take_turn(Deadline deadline) {
  while (turn_taken) {
    const Wake wake = turns.wait(scheduler, deadline, "the turn to write");
    if (dropped_) break;
    if (wake != Wake::ready && turn_taken) return to_errc(wake);
  }
  if (write_error) return *write_error;
  turn_taken = true;
  return {};
}

void WsCore::give_turn() noexcept {
  turn_taken = false;
  turns.wake_one(scheduler);
}

Result<void> WsCore::write_control(ws::Opcode opcode, std::span<const std::byte> payload,
                                   Deadline deadline) {
  std::array<std::byte, ws::head_size_max + ws::control_payload_max> frame;
  const ws::MaskKey key = role == ws::Role::client ? mask_key() : ws::MaskKey{};
  std::size_t size = ws::write_head(frame.data(), opcode, payload.size(),
                                    role == ws::Role::client ? &key : nullptr);
  ws::mask(frame.data() + size, payload.data(), payload.size(), key, 0);
  size += payload.size();
  iovec piece{frame.data(), size};
  return write_all(*stream, {&piece, 1}, deadline);
}

Result<void> WsCore::write_close(std::uint16_t code, Deadline deadline) {
  const std::array<std::byte, 2> payload{static_cast<std::byte>(code >> 8),
                                         static_cast<std::byte>(code)};
  close_sent = true;
  return write_control(ws::Opcode::close, std::span(payload).first(code == ws::close_none ? 0 : 2),
                       deadline);
}

void WsCore::pay() noexcept {
  if (paying || close_sent || dropped_) return;
  paying = true;
  if (auto spawned = spawn("ws.control", [](WsCore& core) { core.run_payments(); }); !spawned) {
    paying = false;
    drop(spawned.error(), true);
  }
}

void WsCore::run_payments() {
  while (owes_pong || owes_ping) {
    if (auto turn = take_turn(Deadline::never()); !turn) {
      if (!dropped_) drop(turn.error(), true);
      break;
    }
    Result<void> written;
    if (close_sent) {
      owes_pong = owes_ping = false;  // nothing may follow a Close
    } else if (std::exchange(owes_pong, false)) {
      // A copy: the next ping may come while this one is being answered.
      const auto payload = pong;
      scheduler.reached(Sometimes::ws_pong_sent);
      written =
          write_control(ws::Opcode::pong, std::span(payload).first(pong_size), Deadline::never());
    } else if (std::exchange(owes_ping, false)) {
      written = write_control(ws::Opcode::ping, {}, Deadline::never());
    }
    give_turn();
    if (!written) {
      drop(written.error(), true);
      break;
    }
  }
  paying = false;
}

void WsCore::farewell(std::uint16_t code) {
  const Deadline deadline = clock.in(farewell_limit);
  if (!close_sent && take_turn(deadline)) {
    if (!close_sent) (void)write_close(code, deadline);
    drop({Errc::invalid, 0}, true);
    return give_turn();
  }
  drop({Errc::invalid, 0}, true);
}

}  // namespace twinwire
