// SPDX-License-Identifier: Apache-2.0
// What the laws must know of a transport to look at its byte streams from outside, from what it says of itself
// (transport/seam.h).
#pragma once

#include "props/laws/tap.h"
#include "transport/seam.h"

namespace twinwire::laws {

// Messages are WebSocket's, and bad ones are bad in its own ways too.
template <class T>
inline constexpr bool speaks_websocket = requires(typename T::Options options) { options.path; };

// It carries requests with their replies, beside messages.
template <class T>
inline constexpr bool has_requests =
    requires(typename T::Options options) { options.requests_window; };

// Its reader may yield messages as they become whole.
template <class T>
inline constexpr bool may_yield_in_any_order =
    requires(typename T::Options options) { options.any_order; };

// Where the pieces of a write lie while a batch is in flight.
template <class T>
constexpr Pieces pieces_of(bool client) noexcept {
  if (!is_zero_copy<T> || (client && client_copies<T>)) return Pieces::anywhere;
  return has_heads_beside<T> ? Pieces::heads_and_messages : Pieces::messages;
}

}  // namespace twinwire::laws
