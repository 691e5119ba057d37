// SPDX-License-Identifier: Apache-2.0
// QuicOptions: what can be set on a QUIC listener or connection. The defaults suit a server on a real network.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "transport/conn_options.h"
#include "transport/tls/tls_config.h"

namespace twinwire {

// Of ConnOptions, `stream` counts for its `local` address and `device` alone, `backlog` and `reuse_port` not at all: a
// datagram socket has neither stream buffers nor a backlog, and one that is shared gets packets of the other's
// connections.
struct QuicOptions : ConnOptions {
  // As for TLS, but: always TLS 1.3; without `alpn` the protocol is "twinwire" (QUIC must name one); no resumption; and
  // QUIC counts by itself when keys are to be renewed.
  TlsConfig tls;

  Duration idle_timeout = std::chrono::seconds(30);  // of silence from the peer; then `broken`
  // A ping after so much silence, and again each eighth of it until the peer is heard, so that only a peer that is gone
  // is silent for the idle time-out. 0: none; two sides with nothing to say then lose their connection.
  Duration keep_alive = std::chrono::seconds(10);
  Duration initial_rtt = std::chrono::milliseconds(333);  // until a round trip was measured

  // How much of what nobody has read yet may arrive: bytes of one message, bytes in all, messages. Under 256 KiB a
  // stream window makes ngtcp2 0.12.1 see violations where there are none. While a reader waits for a message that is
  // not whole, a peer that writes several in turns gets more in all: another window, and the reader's maximum.
  std::size_t stream_window = std::size_t{1} << 20;
  std::size_t connection_window = std::size_t{4} << 20;
  std::size_t messages_window = 1024;

  // The reader yields each message as soon as it is whole, not in the order in which they were sent. One lost packet
  // then delays one message. Weakens clause 4: each at most once, whole, but in any order.
  bool any_order = false;

  // All messages back to back on one stream that lasts as long as the connection: fewer bytes and less work for each,
  // for bulk. Both sides must have it, or the handshake fails. A lost packet delays everything behind it;
  // any_order has no effect.
  bool one_stream = false;

  // How many requests of the peer (QuicWriter::request) may be unanswered at a time, each with stream_window bytes that
  // nobody has read yet. 0: this side takes none, and the peer's calls end with `refused`.
  std::size_t requests_window = 0;

  // What the tokens of stateless resets and of Retry are made from. With the secret that it had before a restart, a
  // listener tells the peers of connections that it has lost so at once (RFC 9000, section 10.3). None: a new one is
  // drawn, and to those peers it is silent until their idle time-out.
  std::optional<std::array<std::byte, 32>> secret;

  // A listener with so many unfinished handshakes asks newcomers to prove their address first (Retry).
  std::size_t retry_from = 128;
};

}  // namespace twinwire
