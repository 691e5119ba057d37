// SPDX-License-Identifier: Apache-2.0
// QuicStream: which stream of a connection, apart from the numbers of the protocol (RFC 9000, section 2.1).
#pragma once

#include <cstdint>

namespace twinwire {

struct QuicStream {
  enum class Kind : std::uint8_t {
    messages,      // unidirectional: ours where we send, the peer's where we receive
    our_request,   // bidirectional, opened by us
    peer_request,  // bidirectional, opened by the peer
  };
  Kind kind = Kind::messages;
  std::uint64_t number = 0;  // 0, 1, 2 ... in each kind and direction, in order of opening

  bool carries_messages() const noexcept { return kind == Kind::messages; }
};

}  // namespace twinwire
