// SPDX-License-Identifier: Apache-2.0
// WsListener: accepts WebSocket connections on a byte stream.
#pragma once

#include <utility>

#include "transport/accept_stage.h"
#include "transport/framed/framed_listener.h"
#include "transport/ws/ws_conn.h"

namespace twinwire {

class WsListener {
 public:
  using Conn = WsConn;

  // `handshake`: of a layer between stream and WebSocket (TLS). It and the upgrade share one time budget.
  // Errors     as Network::listen
  static Result<WsListener> listen(Network& network, Scope& background, const Address& address,
                                   const WsOptions& options, StreamHandshake handshake = {});

  // The next connection whose upgrade is done, and its peer. One mute or slow peer delays no other.
  //
  // Promise    An error concerns one connection or a passing shortage: log it, call again. While descriptors are out
  //            the listener backs off by itself.
  // Suspends   While there is none.
  // Errors     broken (a connection died in the backlog) · no_resources · timed_out · canceled ·
  //            shutting_down (the background scope was canceled: nobody accepts any more; final)
  Result<std::pair<WsConn, Address>> accept(Deadline deadline) { return stage_.accept(deadline); }

  // The bound address, with the port that was chosen where 0 was asked for.
  Address local() const noexcept { return stage_.local(); }
  const AcceptCounters& counters() const noexcept { return stage_.counters(); }

 private:
  explicit WsListener(AcceptStage<WsConn> stage) noexcept : stage_(std::move(stage)) {}

  AcceptStage<WsConn> stage_;
};

}  // namespace twinwire
