// SPDX-License-Identifier: Apache-2.0
// The TLS transport: frames back to back on an encrypted byte stream.
//
//   TlsOptions options;
//   options.tls.credentials = *TlsCredentials::load({.authorities = ca_pem});
//   options.tls.server_name = "db.example";
//   auto conn = Tls::dial(network, address, options, deadline);
//
// Unlike TCP it tells a peer that was killed (`broken`) from one that said good-bye (`closed`). Where to read on:
// tls_stream.h (the stream), tls_core.h (its fibers), tls_engine.h (the session), credentials.h (certificates).
#pragma once

#include <string_view>

#include "transport/framed/framed_conn.h"
#include "transport/framed/framed_listener.h"
#include "transport/seam.h"
#include "transport/tls/tls_config.h"

namespace twinwire {

struct TlsOptions : ConnOptions {
  TlsConfig tls;
};

struct Tls {
  static constexpr std::string_view name = "tls";
  // `closed` was said by the peer, and by nobody else.
  static constexpr bool authentic_end = true;
  static constexpr bool exchanges_at_dial = true;
  using Options = TlsOptions;
  using Listener = FramedListener;
  using Conn = FramedConn;
  using Reader = FramedReader;
  using Writer = FramedWriter;

  // Errors     as Network::listen
  static Result<FramedListener> listen(Network& network, Scope& background, const Address& address,
                                       const TlsOptions& options);
  // Errors     as Network::dial and tls_connect
  static Result<FramedConn> dial(Network& network, const Address& address,
                                 const TlsOptions& options, Deadline deadline);
};

static_assert(Transport<Tls>);

}  // namespace twinwire
