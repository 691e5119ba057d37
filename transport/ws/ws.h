// SPDX-License-Identifier: Apache-2.0
// The WebSocket transport (RFC 6455): one frame a binary message. Start here.
//
//   ws_upgrade.h     the HTTP upgrade, as text           ws_handshake.h   the same over a stream
//   ws_frame.h       heads, masks, close payloads        ws_decoder.h     bytes in, messages and control frames out
//   ws_conn.h        connection, reader, writer          ws_core.h        what they and the connection's fibers share
//   ws_writer.cc     the path of a batch                 ws_pump.cc       the path of what arrives
//
// docs/websocket.md has the defaults, limits and every error.
#pragma once

#include <string_view>

#include "transport/seam.h"
#include "transport/ws/ws_conn.h"
#include "transport/ws/ws_listener.h"

namespace twinwire {

struct Ws {
  static constexpr std::string_view name = "ws";
  using Options = WsOptions;
  using Listener = WsListener;
  using Conn = WsConn;
  using Reader = WsReader;
  using Writer = WsWriter;

  // For laws that look at a connection from outside (props/laws/traits.h).
  static constexpr bool zero_copy = true;
  static constexpr bool heads_beside_messages = true;
  static constexpr bool client_copies = true;  // it masks
  static constexpr bool exchanges_at_dial = true;
  static constexpr bool authentic_end = true;  // a stream that ends without a Close is not `closed`

  // Listens on `address` and accepts in fibers of `background`. Never suspends.
  // Errors     as Network::listen
  static Result<WsListener> listen(Network& network, Scope& background, const Address& address,
                                   const WsOptions& options);
  // Connects and upgrades.
  // Errors     as Network::dial, and those of WsConn::connect
  static Result<WsConn> dial(Network& network, const Address& address, const WsOptions& options,
                             Deadline deadline);
};

static_assert(Transport<Ws>);

}  // namespace twinwire
