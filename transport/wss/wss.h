// SPDX-License-Identifier: Apache-2.0
// WebSocket over TLS (wss, RFC 6455 section 3), as what it is: the WebSocket connection of transport/ws/ over the
// stream of transport/tls/. Nothing here but the order in which the two are put together.
//
//   WssOptions options;
//   options.tls.credentials = *TlsCredentials::load({.authorities = ca_pem});
//   options.tls.server_name = "chat.example";
//   auto conn = Wss::dial(network, address, options, deadline);
//
// Begin:  the stream, TLS, the upgrade: one budget of time for all of it, on either side.
// End:    Close frames both ways, close_notify, FIN; a drop is a reset, with neither.
// Copies: TLS seals what WebSocket wrote, so nothing is sent from where it lies; docs/websocket.md has the table.
#pragma once

#include <string_view>

#include "transport/seam.h"
#include "transport/tls/tls_config.h"
#include "transport/ws/ws_conn.h"
#include "transport/ws/ws_listener.h"

namespace twinwire {

// An empty `host` is the name that the server's certificate must bear, with the port unless it is 443, or the address.
struct WssOptions : WsOptions {
  TlsConfig tls;
};

struct Wss {
  static constexpr std::string_view name = "wss";
  using Options = WssOptions;
  using Listener = WsListener;
  using Conn = WsConn;
  using Reader = WsReader;
  using Writer = WsWriter;

  // For laws that look at a connection from outside (transport/seam.h). Not zero_copy: TLS copies.
  static constexpr bool exchanges_at_dial = true;
  static constexpr bool authentic_end = true;  // twice: close_notify, and a Close frame before it

  // Listens on `address` and accepts in fibers of `background`. TLS and the upgrade run in one handshake, within
  // AcceptOptions::handshake_timeout together. Never suspends.
  // Errors     as Network::listen
  static Result<WsListener> listen(Network& network, Scope& background, const Address& address,
                                   const WssOptions& options);
  // Connects, shakes hands and upgrades, all of it before `deadline`.
  // Errors     as Network::dial, tls_connect and WsConn::connect: `handshake` is said by either layer
  static Result<WsConn> dial(Network& network, const Address& address, const WssOptions& options,
                             Deadline deadline);
};

static_assert(Transport<Wss>);

}  // namespace twinwire
