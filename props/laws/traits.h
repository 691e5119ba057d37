// SPDX-License-Identifier: Apache-2.0
// What the laws must know of a transport to look at its byte streams from outside. A transport that says nothing is
// frames back to back on a plain stream, as TCP: the strictest.
#pragma once

#include "props/laws/tap.h"

namespace twinwire::laws {

// The stream's bytes are the frames' bytes, and nothing else.
template <class T>
constexpr bool stream_is_frames() noexcept {
  if constexpr (requires { T::stream_is_frames; }) return T::stream_is_frames;
  return true;
}

// dial() returns after an exchange with the peer, and so fails where the peer dropped the connection meanwhile.
template <class T>
constexpr bool handshake_at_dial() noexcept {
  if constexpr (requires { T::handshake_at_dial; }) return T::handshake_at_dial;
  return false;
}

// A reader that says `closed` has the peer's word for it.
template <class T>
constexpr bool tells_the_end() noexcept {
  if constexpr (requires { T::tells_the_end; }) return T::tells_the_end;
  return false;
}

// Where the pieces of a write lie while a batch is in flight.
template <class T>
constexpr Pieces pieces_of(bool client) noexcept {
  if constexpr (requires { T::client_copies; })
    if (client && T::client_copies) return Pieces::anywhere;
  if constexpr (requires { T::heads_beside_messages; })
    if (T::heads_beside_messages) return Pieces::heads_and_messages;
  return Pieces::messages;
}

// Tells the record of a stream which transport is above it.
template <class T>
void describe(StreamRecord& record, bool client) noexcept {
  record.is_frames = stream_is_frames<T>();
  record.pieces = pieces_of<T>(client);
}

}  // namespace twinwire::laws
