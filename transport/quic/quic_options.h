// SPDX-License-Identifier: Apache-2.0
// QuicOptions: what can be set on a QUIC listener or connection. The defaults suit a server on a real network.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "transport/conn_options.h"
#include "transport/quic/quic_credentials.h"

namespace twinwire {

struct QuicTls {
  QuicCredentials credentials;
  // The name that the server's certificate must bear, and that the client asks for (SNI).
  std::string server_name = "localhost";
  // Both sides must name the same protocol (ALPN), or the handshake fails.
  std::string protocol = "twinwire";
  bool verify_peer = true;  // a client checks its server; off only for trying out
  // One line in the format of SSLKEYLOGFILE for each secret: for a packet analyser. Whoever has it can read everything.
  std::function<void(std::string_view)> key_log;
};

// Of ConnOptions, `stream` counts for its `local` address alone and `backlog` not at all: a datagram socket has neither
// stream buffers nor a backlog.
struct QuicOptions : ConnOptions {
  QuicTls tls;

  Duration idle_timeout = std::chrono::seconds(30);       // of silence from the peer; then `broken`
  Duration keep_alive{0};                                 // a ping after so much silence; 0: none
  Duration initial_rtt = std::chrono::milliseconds(333);  // until a round trip was measured

  // How much of what nobody has read yet may arrive: bytes of one message, bytes in all, messages. Under 256 KiB a
  // stream window makes ngtcp2 0.12.1 see violations where there are none.
  std::size_t stream_window = std::size_t{1} << 20;
  std::size_t connection_window = std::size_t{4} << 20;
  std::size_t messages_window = 1024;

  // The reader yields each message as soon as it is whole, not in the order in which they were sent. One lost packet
  // then delays one message. Weakens clause 4: each at most once, whole, but in any order.
  bool any_order = false;

  // A listener with so many unfinished handshakes asks newcomers to prove their address first (Retry).
  std::size_t retry_from = 128;
};

}  // namespace twinwire
