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
  int backlog = 1024;
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
};

}  // namespace twinwire
