// SPDX-License-Identifier: Apache-2.0
// ConnOptions: what can be set on a listener or connection of any transport. The defaults suit a server.
#pragma once

#include <cstddef>

#include "transport/accept_stage.h"
#include "transport/net/network.h"
#include "transport/wire/header.h"

namespace twinwire {

struct ConnOptions {
  StreamOptions stream;
  int backlog = 1024;  // these three of a listener, as in ListenOptions
  bool v6_only = false;
  bool reuse_port = false;
  AcceptOptions accept;  // of a listener; on_refused among them
  // Frames whose checksums do not match are `invalid`. The sender seals (transport/wire/seal.h).
  bool verify_seal = false;
  // Messages smaller than this many bytes, header and all, are copied side by side, so that a batch of them leaves as a
  // few large pieces instead of one a message. 0: nothing is copied. For the transports that write frames back to back,
  // TCP above all. When to turn it on: docs/coalescing.md.
  std::size_t coalesce_below = 0;
  // accept() yields a connection only once its first whole message has arrived, within the handshake timeout; it is
  // then the first that read_message yields. Mute peers and port scanners never reach the application.
  bool accept_after_first_message = false;
  std::size_t first_message_max = header_size + 64 * 1024;

  DatagramOptions datagrams() const noexcept {
    return {.device = stream.device, .v6_only = v6_only};
  }
  ListenOptions listening() const noexcept {
    return {.backlog = backlog, .stream = stream, .v6_only = v6_only, .reuse_port = reuse_port};
  }
};

}  // namespace twinwire
