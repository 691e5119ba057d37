// SPDX-License-Identifier: Apache-2.0
// The inbound pump: the one fiber that reads a connection's stream, answers pings and notices the end. It reads ahead
// while nobody is in read_message, within the inbox's bound.
#include <cstring>

#include "transport/base/plant.h"
#include "transport/base/sometimes.h"
#include "transport/ws/ws_core.h"

namespace twinwire {
namespace {

constexpr std::size_t read_ahead_max = WsInbox::bytes_max;

}  // namespace

ws::Limit WsCore::limit() const noexcept {
  if (reader_max != 0 && inbox.empty()) return {reader_max, true};
  return {read_ahead_max, false};
}

void WsCore::run_pump() {
  while (drain()) {
    Result<std::size_t> arrived = std::size_t{0};
    if (const auto space = decoder.direct_space(); !space.empty()) {
      arrived = stream->read_into(space, Deadline::never());
      if (arrived) decoder.commit(*arrived);
    } else if (auto slice = stream->read(Deadline::never()); slice) {
      arrived = slice->size();
      decoder.feed(std::move(*slice));
    } else {
      arrived = slice.error();
    }
    if (!arrived) {
      if (!read_failed(arrived.error())) return;
      continue;
    }
    if (*arrived == 0) return end_of_stream();
    ++heard;
  }
}

// Everything that the decoder has; false: the pump is done.
bool WsCore::drain() {
  using Got = ws::WsDecoder::Got;
  for (;;) {
    if (dropped_) return false;
    if (closing) decoder.skip_messages();
    switch (decoder.next(limit())) {
      case Got::more: return true;
      case Got::message:
        inbox.push(decoder.take_message());
        arrivals.wake_one(scheduler);
        while (!inbox.has_room() && !closing) {
          scheduler.reached(Sometimes::ws_inbox_full);
          if (!wait_for_reader()) return false;
        }
        break;
      case Got::bound:
        // The reader may be there and not have run since the last message woke it.
        if (!wait_for_reader()) return false;
        break;
      case Got::no_resources:
        shortage = true;
        arrivals.wake_one(scheduler);
        if (!wait_for_reader()) return false;
        break;
      case Got::ping: {
        if (decoder.in_message()) scheduler.reached(Sometimes::ws_control_inside_message);
        const auto payload = decoder.payload();
        std::memcpy(pong.data(), payload.data(), payload.size());
        pong_size = payload.size();
        owes_pong = true;
        pay();
        break;
      }
      case Got::pong:  // any sign of life is as good
        if (decoder.in_message()) scheduler.reached(Sometimes::ws_control_inside_message);
        break;
      case Got::close: peer_closed(); break;
      case Got::violation: violate(decoder.fault()); return false;
    }
  }
}

// False: there is nothing left to wait for.
bool WsCore::wait_for_reader() {
  if (dropped_) return false;
  if (closing) return true;
  if (room.wait(scheduler, Deadline::never(), "a reader, or room for what arrived") ==
      Wake::canceled) {
    drop({Errc::canceled, 0}, true);
    return false;
  }
  return !dropped_;
}

void WsCore::peer_closed() noexcept {
  peer_close = decoder.close_code();
  if (close_sent) scheduler.reached(Sometimes::ws_closes_crossed);
  const bool clean = *peer_close == ws::close_none || *peer_close == ws::close_normal ||
                     *peer_close == ws::close_going_away;
  if (!inbound_end) inbound_end = Error{clean ? Errc::closed : Errc::broken, 0};
  arrivals.wake_all(scheduler);
  ends.wake_all(scheduler);
}

void WsCore::end_of_stream() noexcept {
  if (!peer_close && PLANT(end_without_close_is_closed)) {
    peer_close = ws::close_none;
    if (!inbound_end) inbound_end = Error{Errc::closed, 0};
    arrivals.wake_all(scheduler);
  }
  if (!peer_close) return drop({Errc::broken, 0}, true);
  stream_ended = true;
  ends.wake_all(scheduler);
}

// False: the connection is over.
bool WsCore::read_failed(Error error) {
  if (error == Errc::no_resources) {
    shortage = true;
    arrivals.wake_one(scheduler);
    if (wait_for_reader() && !closing) return true;
  }
  drop(error, true);
  return false;
}

void WsCore::run_keepalive() {
  for (;;) {
    const std::uint64_t before = heard;
    if (over.wait(scheduler, clock.in(ping_interval), "the time for a ping") != Wake::timed_out)
      return;
    if (dropped_ || close_sent) return;
    if (heard != before) continue;
    owes_ping = true;
    pay();
    if (over.wait(scheduler, clock.in(ping_timeout), "a sign of life") != Wake::timed_out) return;
    if (dropped_ || close_sent) return;
    if (heard == before) return drop({Errc::timed_out, 0}, true);
  }
}

}  // namespace twinwire
