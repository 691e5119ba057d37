// SPDX-License-Identifier: Apache-2.0
// The five messages of the handshake, as bytes: one frame each, without a body; the envelope lies in the header's
// `reserved_command`. docs/handshake.md has the table.
//
// Every byte of such a frame is either a field here or has the one value that it may have, so that there are no two
// frames of one meaning.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "transport/bus/handshake/handshake_options.h"

namespace twinwire::bus {

enum class HandshakeRole : std::uint8_t { dialer = 1, acceptor = 2 };

enum class HandshakeKind : std::uint8_t {
  hello = 1,      // dialer: who I am, whom I want, my nonce
  challenge = 2,  // acceptor: I have the key (over your nonce); mine is this
  proof = 3,      // dialer: I have the key, now (over your nonce)
  welcome = 4,    // acceptor: I believe you
  refusal = 5,    // acceptor: I believe you, and will not have you, for this reason
};
constexpr HandshakeRole speaker_of(HandshakeKind kind) noexcept {
  return kind == HandshakeKind::hello || kind == HandshakeKind::proof ? HandshakeRole::dialer
                                                                      : HandshakeRole::acceptor;
}

inline constexpr std::uint8_t handshake_version = 1;

using HandshakeFrame = std::array<std::byte, header_size>;
using HandshakeTag = std::array<std::byte, 32>;
using PlaneLabel = std::array<std::byte, HandshakeOptions::plane_max>;  // padded with zeros
using ChannelMark = std::array<std::byte, 16>;  // of the channel binding's hash; zeros: none

struct HandshakeFields {
  HandshakeKind kind{};
  std::uint8_t dialer = 0;  // ids
  std::uint8_t acceptor = 0;
  Rejection reason = Rejection::none;  // of a refusal, and of that only
  U128 cluster;
  PlaneLabel plane{};
  std::int64_t unix_ns = 0;  // when it was made, by its maker's clock
  HandshakeSession nonces;   // a hello's acceptor has none yet: zeros
  ChannelMark channel{};
  HandshakeTag tag{};
};

// Where the envelope's fields lie.
namespace handshake_offset {
inline constexpr std::size_t base = offset::reserved_command;
inline constexpr std::size_t magic = base + 0;            // u32
inline constexpr std::size_t version = base + 4;          // u8
inline constexpr std::size_t kind = base + 5;             // u8
inline constexpr std::size_t dialer = base + 6;           // u8
inline constexpr std::size_t acceptor = base + 7;         // u8
inline constexpr std::size_t plane = base + 8;            // 8 bytes
inline constexpr std::size_t unix_ns = base + 16;         // i64
inline constexpr std::size_t dialer_nonce = base + 24;    // 16 bytes
inline constexpr std::size_t acceptor_nonce = base + 40;  // 16 bytes
inline constexpr std::size_t channel = base + 56;         // 16 bytes
inline constexpr std::size_t reason = base + 72;          // u8
inline constexpr std::size_t reserved = base + 73;        // 23 bytes
inline constexpr std::size_t tag = base + 96;             // 32 bytes
static_assert(tag + sizeof(HandshakeTag) == header_size);
}  // namespace handshake_offset

inline constexpr std::uint32_t handshake_magic = 0x53485754;  // "TWHS"

// Its checksums are zero: who seals, does so afterwards.
HandshakeFrame encode(const HandshakeFields& fields) noexcept;

// Takes a frame apart. What it says is not to be believed yet.
// Errors     none, and `fields` is whole; otherwise bad_format · wrong_version · unknown_kind · reserved_bytes
Rejection decode(std::span<const std::byte> frame, bool sealed, HandshakeFields& fields) noexcept;

// Requires   a label of 1 to 8 bytes. Checked; a violation aborts.
PlaneLabel plane_label(std::string_view plane) noexcept;

}  // namespace twinwire::bus
