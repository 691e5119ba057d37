// SPDX-License-Identifier: Apache-2.0
// Session: one connection of `serve`: verifies what arrives and sends it back.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "cli/child.h"
#include "cli/endpoint.h"
#include "cli/load_protocol.h"
#include "cli/text.h"
#include "real/latency_histogram.h"
#include "transport/seam.h"

namespace twinwire::cli {

inline constexpr std::size_t echo_batch = 256;
inline constexpr Duration close_grace = std::chrono::seconds(2);

struct ServeTotals {
  std::uint64_t clean = 0;    // said good-bye after their last message
  std::uint64_t stopped = 0;  // were there when we stopped
  std::uint64_t broken = 0;   // died, were cut off, or sent damaged bytes
  std::uint64_t damaged = 0;
  std::uint64_t refused = 0;  // in the handshake: never a connection
  LoadTotals verified;        // of sessions that go on, too
};

struct ServeState {
  ServeTotals totals;
  std::size_t sessions = 0;  // that go on
  bool stopping = false;
  bool measure = false;
  // From a message's arrival to when the network had taken the answers to all that had come with it.
  real::LatencyHistogram answering;
};

// One connection, from the server's point of view.
template <Transport T>
class Session {
 public:
  Session(Network& network, ServeState& state, typename T::Conn&& conn, const Address& peer)
      : Session(network, state, split(std::move(conn)), peer) {}

  void run() {
    const Result<void> ended = serve();
    ServeTotals& totals = state_->totals;
    if (said_ping_ && !damaged_ && !ended && ended.error() == Errc::closed) {
      (void)writer_.close(close_grace);
      ++totals.clean;
    } else if (state_->stopping && !damaged_ && !send_failed_) {
      const CancelShield shield(network_->scheduler());
      (void)writer_.close(close_grace);
      ++totals.stopped;
    } else {
      ++totals.broken;
      totals.damaged += damaged_ ? 1 : 0;
      const std::string why =
          damaged_                           ? "it sent a message that is damaged or out of turn"
          : send_failed_ && state_->stopping ? "it took no more answers when it was time to stop"
          : !ended && ended.error() == Errc::invalid
              ? "it sent what is no frame, or one that is too large"
              : "it ended without a good-bye (" + to_string(ended.error()) + ")";
      std::fprintf(stderr, "twinwire: connection from %s lost after %s messages: %s\n",
                   peer_name(peer_).c_str(), with_commas(verified_.messages).c_str(), why.c_str());
    }
  }
  // Ends a read that waits for the peer; whatever is being sent is sent.
  void stop() noexcept {
    if (reading_ != nullptr) network_->scheduler().interrupt(*reading_);
  }

 private:
  Session(Network& network, ServeState& state,
          std::pair<typename T::Conn::Reader, typename T::Conn::Writer> halves, const Address& peer)
      : network_(&network),
        state_(&state),
        peer_(peer),
        reader_(std::move(halves.first)),
        writer_(std::move(halves.second)),
        answers_(echo_batch) {}

  Result<void> serve() {
    for (;;) {
      if (state_->stopping) return Errc::canceled;
      reading_ = &network_->scheduler().current();
      auto message = reader_.read_message(default_max_message, Deadline::never());
      reading_ = nullptr;
      const TimePoint arrived = state_->measure ? real_now() : TimePoint{};
      // Then everything that has arrived with it, so that the answers leave as one batch.
      while (message) {
        if (auto taken = take(std::move(*message)); !taken) return taken;
        if (answers_.size() == echo_batch) break;
        message = reader_.read_message(default_max_message, {network_->clock().now()});
      }
      const std::size_t answers = answers_.size();
      if (auto sent = writer_.send_batch(answers_, Deadline::never()); !sent) {
        send_failed_ = true;
        return sent;
      }
      if (state_->measure && answers != 0) state_->answering.add(real_now() - arrived);
      if (!message && message.error() != Errc::timed_out) return message.error();
    }
  }

  Result<void> take(Message message) {
    if (is_ping(message)) {
      said_ping_ = true;
      auto pong = make_pong(network_->buffers(), verified_);
      if (!pong) return pong.error();
      answers_.push(std::move(*pong));
      return {};
    }
    if (said_ping_ || !is_request(message, verified_.messages)) {
      damaged_ = true;
      return Errc::invalid;
    }
    ++verified_.messages;
    verified_.bytes += message.size();
    ++state_->totals.verified.messages;
    state_->totals.verified.bytes += message.size();
    if (!is_one_way(message)) answers_.push(std::move(message));
    return {};
  }

  Network* network_;
  ServeState* state_;
  Address peer_;
  typename T::Conn::Reader reader_;
  typename T::Conn::Writer writer_;
  Batch answers_;
  LoadTotals verified_;
  Fiber* reading_ = nullptr;
  bool said_ping_ = false;
  bool damaged_ = false;
  bool send_failed_ = false;
};

}  // namespace twinwire::cli
