// SPDX-License-Identifier: Apache-2.0
// TcpListener: accepts TCP connections.
#pragma once

#include <utility>

#include "transport/accept_stage.h"
#include "transport/tcp/tcp_conn.h"

namespace twinwire {

class TcpListener {
 public:
  using Conn = TcpConn;

  static Result<TcpListener> listen(Network& network, Scope& background, const Address& address,
                                    const TcpOptions& options);

  // The next connection whose handshake is done, and its peer. One mute or slow peer delays no other.
  //
  // Promise    An error concerns one connection or a passing shortage: log it, call again. While descriptors are out
  // the
  //            listener backs off by itself.
  // Suspends   While there is none.
  // Errors     broken (a connection died in the backlog) · no_resources · timed_out · canceled ·
  //            shutting_down (the background scope was canceled: nobody accepts any more; final)
  Result<std::pair<TcpConn, Address>> accept(Deadline deadline) { return stage_.accept(deadline); }

  // The bound address, with the port that was chosen where 0 was asked for.
  Address local() const noexcept { return stage_.local(); }
  const AcceptCounters& counters() const noexcept { return stage_.counters(); }

 private:
  explicit TcpListener(AcceptStage<TcpConn> stage) noexcept : stage_(std::move(stage)) {}

  AcceptStage<TcpConn> stage_;
};

}  // namespace twinwire
