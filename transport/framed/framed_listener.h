// SPDX-License-Identifier: Apache-2.0
// FramedListener: accepts connections of frames on a byte stream.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "transport/accept_stage.h"
#include "transport/conn_options.h"
#include "transport/framed/framed_conn.h"

namespace twinwire {

// Makes of an accepted stream the one that carries the messages: the handshake of a layer between them (TLS). It may
// suspend, within the deadline, and explain its failure. Empty: the stream itself.
using StreamHandshake =
    std::function<Result<std::unique_ptr<ByteStream>>(std::unique_ptr<ByteStream>, HandshakeTerms)>;

class FramedListener {
 public:
  using Conn = FramedConn;

  static Result<FramedListener> listen(Network& network, Scope& background, const Address& address,
                                       const ConnOptions& options, StreamHandshake handshake = {});

  // The next connection whose handshake is done, and its peer. One mute or slow peer delays no other.
  //
  // Promise    An error concerns one connection or a passing shortage: log it, call again. While descriptors are out
  //            the listener backs off by itself. Whom it turned away, and why: AcceptOptions::on_refused.
  // Suspends   While there is none.
  // Errors     broken (a connection died in the backlog) · no_resources · timed_out · canceled ·
  //            shutting_down (the background scope was canceled: nobody accepts any more; final)
  Result<std::pair<FramedConn, Address>> accept(Deadline deadline) {
    return stage_.accept(deadline);
  }

  // The bound address, with the port that was chosen where 0 was asked for.
  Address local() const noexcept { return stage_.local(); }
  const AcceptCounters& counters() const noexcept { return stage_.counters(); }

 private:
  explicit FramedListener(AcceptStage<FramedConn> stage) noexcept : stage_(std::move(stage)) {}

  AcceptStage<FramedConn> stage_;
};

}  // namespace twinwire
