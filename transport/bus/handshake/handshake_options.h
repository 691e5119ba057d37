// SPDX-License-Identifier: Apache-2.0
// HandshakeOptions: who this replica is, what it shares with the others, and whom it lets in.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "transport/base/error.h"
#include "transport/base/time.h"
#include "transport/bus/handshake/nonce_cache.h"
#include "transport/bus/handshake/rejection.h"
#include "transport/wire/header.h"

namespace twinwire::bus {

// A secret that all replicas of a cluster have: 32 bytes from a good source, not a password.
struct HandshakeKey {
  std::array<std::byte, 32> bytes{};
  // From then on it is refused, and not used: the end of a rotation that nobody has to remember. UTC.
  std::int64_t expires_unix_ns = std::numeric_limits<std::int64_t>::max();
};

// The key that a text of 64 hexadecimal digits is, with white space around it: what a file of keys holds. It does not
// expire.
// Errors     invalid
Result<HandshakeKey> handshake_key(std::string_view text) noexcept;

// This side dials with `current` and is answered with the same; who dials it may use either. To change the key without
// a moment at which two replicas do not know each other, over all replicas one after another: the new one becomes
// `other`; then the two change places; then the old one goes, or expires.
struct HandshakeKeys {
  HandshakeKey current;
  std::optional<HandshakeKey> other;
};

// What a node's handshakes have in common: one for each node (each of its shards), whatever the connection.
struct HandshakeMemory {
  explicit HandshakeMemory(std::size_t nonces_per_dialer = 16) : nonces(nonces_per_dialer) {}
  NonceCache nonces;
  HandshakeCounters counters;
};

struct HandshakeOptions {
  static constexpr std::size_t plane_max = 8;
  // Longest channel binding.
  static constexpr std::size_t binding_max = 64;

  U128 cluster;
  std::uint8_t id = 0;                  // this replica's
  std::optional<std::uint8_t> peer_id;  // of a dialer, which must know: whom it dials
  HandshakeKeys keys;
  // How far a message's time may be from this side's clock, either way: how well clocks must agree.
  Duration freshness = std::chrono::seconds(30);
  // What the connection is for, 1 to 8 bytes: one that was made for another purpose is not taken for it.
  std::string_view plane = "replica";
  // Of an acceptor: who may dial. Others are told so, once they have proven who they are.
  std::bitset<256> admitted = std::bitset<256>().set();
  // Set it where the connections encrypt: one whose channel has no name is then refused before anything is said. Else
  // somebody who ends the encryption in between, and has both sides speak a TLS 1.2 without names, gets around this.
  bool channel_needed = false;
  // Both checksums are made, and must match (transport/wire/seal.h): for connections with ConnOptions::verify_seal.
  bool sealed = false;
  HandshakeMemory* memory = nullptr;  // borrowed; never null where a handshake begins
};

// Names one run of the handshake: no two have the same.
struct HandshakeSession {
  HandshakeNonce dialer{};
  HandshakeNonce acceptor{};
  friend auto operator<=>(const HandshakeSession&, const HandshakeSession&) = default;
};

// Who is at the other end, as it has proven.
struct ReplicaPeer {
  std::uint8_t id = 0;
  bool by_other_key = false;  // the dialer used the acceptor's `other` key: a rotation is under way
  HandshakeSession session;
};

}  // namespace twinwire::bus
