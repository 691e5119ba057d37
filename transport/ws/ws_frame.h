// SPDX-License-Identifier: Apache-2.0
// The parts of an RFC 6455 frame: head, mask, close payload. Plain functions over bytes; no state, no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace twinwire::ws {

enum class Opcode : std::uint8_t {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10,
};

// Codes of a Close frame (RFC 6455 section 7.4) that this side sends or must know.
inline constexpr std::uint16_t close_none = 0;  // an empty Close
inline constexpr std::uint16_t close_normal = 1000;
inline constexpr std::uint16_t close_going_away = 1001;
inline constexpr std::uint16_t close_protocol_error = 1002;
inline constexpr std::uint16_t close_unsupported_data = 1003;
inline constexpr std::uint16_t close_bad_payload = 1007;
inline constexpr std::uint16_t close_policy = 1008;  // no frame of ours: size, command or seal
inline constexpr std::uint16_t close_too_big = 1009;

using MaskKey = std::array<std::byte, 4>;

inline constexpr std::size_t head_size_max = 14;
inline constexpr std::size_t control_payload_max = 125;

struct Head {
  bool fin = true;
  std::uint8_t reserved = 0;  // RSV1..3, as the three bits stand in the first byte
  std::uint8_t opcode = 0;
  bool masked = false;
  bool minimal = true;  // the length is in its shortest form
  std::uint64_t length = 0;
  MaskKey key{};
  std::size_t size = 0;  // of the head itself
};

constexpr bool is_control(std::uint8_t opcode) noexcept { return (opcode & 8) != 0; }

// How long a head is, once its first two bytes are there.
std::size_t head_size(const std::byte* first_two) noexcept;

// Requires   head_size() bytes.
Head parse_head(const std::byte* bytes) noexcept;

// Writes an unfragmented frame's head, the length in its shortest form; returns its size.
std::size_t write_head(std::byte* out, Opcode opcode, std::uint64_t length,
                       const MaskKey* key) noexcept;

// XORs `from` into `to` (they may be the same) with the key as it stands `offset` bytes into the payload.
void mask(std::byte* to, const std::byte* from, std::size_t size, const MaskKey& key,
          std::uint64_t offset) noexcept;

// Whether a peer may send this code: 1000..1003, 1007..1014, 3000..4999.
constexpr bool is_valid_close_code(std::uint16_t code) noexcept {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

bool is_utf8(std::span<const std::byte> text) noexcept;

// What a Close frame's payload says.
struct CloseRead {
  std::uint16_t code = close_none;   // what the peer said; 0: nothing
  std::uint16_t fault = close_none;  // not 0: the payload itself is wrong, and this is the answer
};
CloseRead read_close(std::span<const std::byte> payload) noexcept;

}  // namespace twinwire::ws
