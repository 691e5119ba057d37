// SPDX-License-Identifier: Apache-2.0
// How a transport's options are made to fit the World, where they do not by themselves: round trips of 100 us, and
// limits small enough to be met.
#pragma once

#include "transport/quic/quic_options.h"

namespace twinwire::laws {

// The smallest windows within ngtcp2's safe envelope, so that they fill; Retry from the second handshake on.
inline void fit_world(QuicOptions& options) noexcept {
  options.initial_rtt = std::chrono::milliseconds(10);
  options.stream_window = 256 * 1024;
  options.connection_window = 512 * 1024;
  options.messages_window = 200;
  options.retry_from = 2;
}

}  // namespace twinwire::laws
