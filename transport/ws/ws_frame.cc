// SPDX-License-Identifier: Apache-2.0
#include "transport/ws/ws_frame.h"

#include <bit>
#include <cstring>

namespace twinwire::ws {
namespace {

constexpr std::uint8_t byte_at(const std::byte* bytes, std::size_t i) noexcept {
  return std::to_integer<std::uint8_t>(bytes[i]);
}

std::uint64_t big_endian(const std::byte* bytes, std::size_t n) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < n; ++i) value = value << 8 | byte_at(bytes, i);
  return value;
}

void put_big_endian(std::byte* out, std::uint64_t value, std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<std::byte>(value >> (8 * (n - 1 - i)));
}

// How many bytes follow this first byte of a UTF-8 sequence, and the range that the second one must lie in.
struct Sequence {
  std::size_t more;
  std::uint8_t low;
  std::uint8_t high;
};
std::optional<Sequence> sequence_of(std::uint8_t first) noexcept {
  if (first < 0x80) return Sequence{0, 0, 0};
  if (first >= 0xc2 && first <= 0xdf) return Sequence{1, 0x80, 0xbf};
  if (first == 0xe0) return Sequence{2, 0xa0, 0xbf};  // nothing overlong
  if (first == 0xed) return Sequence{2, 0x80, 0x9f};  // no surrogates
  if (first >= 0xe1 && first <= 0xef) return Sequence{2, 0x80, 0xbf};
  if (first == 0xf0) return Sequence{3, 0x90, 0xbf};
  if (first >= 0xf1 && first <= 0xf3) return Sequence{3, 0x80, 0xbf};
  if (first == 0xf4) return Sequence{3, 0x80, 0x8f};  // up to U+10FFFF
  return std::nullopt;
}

}  // namespace

std::size_t head_size(const std::byte* first_two) noexcept {
  const std::uint8_t second = byte_at(first_two, 1);
  const std::uint8_t length = second & 0x7f;
  const std::size_t extended = length == 126 ? 2 : length == 127 ? 8 : 0;
  return 2 + extended + ((second & 0x80) != 0 ? 4 : 0);
}

Head parse_head(const std::byte* bytes) noexcept {
  Head head;
  const std::uint8_t first = byte_at(bytes, 0);
  const std::uint8_t second = byte_at(bytes, 1);
  head.fin = (first & 0x80) != 0;
  head.reserved = first & 0x70;
  head.opcode = first & 0x0f;
  head.masked = (second & 0x80) != 0;
  head.length = second & 0x7f;
  std::size_t at = 2;
  if (head.length == 126) {
    head.length = big_endian(bytes + at, 2);
    head.minimal = head.length >= 126;
    at += 2;
  } else if (head.length == 127) {
    head.length = big_endian(bytes + at, 8);
    head.minimal = head.length > 0xffff;
    at += 8;
  }
  if (head.masked) {
    std::memcpy(head.key.data(), bytes + at, 4);
    at += 4;
  }
  head.size = at;
  return head;
}

std::size_t write_head(std::byte* out, Opcode opcode, std::uint64_t length,
                       const MaskKey* key) noexcept {
  const std::byte masked{key != nullptr ? std::uint8_t{0x80} : std::uint8_t{0}};
  out[0] = std::byte{0x80} | static_cast<std::byte>(opcode);
  std::size_t at = 2;
  if (length < 126) {
    out[1] = masked | static_cast<std::byte>(length);
  } else if (length <= 0xffff) {
    out[1] = masked | std::byte{126};
    put_big_endian(out + at, length, 2);
    at += 2;
  } else {
    out[1] = masked | std::byte{127};
    put_big_endian(out + at, length, 8);
    at += 8;
  }
  if (key != nullptr) {
    std::memcpy(out + at, key->data(), 4);
    at += 4;
  }
  return at;
}

void mask(std::byte* to, const std::byte* from, std::size_t size, const MaskKey& key,
          std::uint64_t offset) noexcept {
  // The key as it lies at `offset`, twice.
  constexpr bool little = std::endian::native == std::endian::little;
  const int turn = 8 * static_cast<int>(offset % 4);
  std::uint32_t narrow;
  std::memcpy(&narrow, key.data(), 4);
  narrow = little ? std::rotr(narrow, turn) : std::rotl(narrow, turn);
  const std::uint64_t wide = std::uint64_t{narrow} << 32 | narrow;
  std::size_t i = 0;
  // Four words at once: a compiler makes vectors of them.
  for (std::array<std::uint64_t, 4> words; i + sizeof words <= size; i += sizeof words) {
    std::memcpy(words.data(), from + i, sizeof words);
    for (std::uint64_t& word : words) word ^= wide;
    std::memcpy(to + i, words.data(), sizeof words);
  }
  std::array<std::byte, 8> turned;
  std::memcpy(turned.data(), &wide, 8);
  for (; i < size; ++i) to[i] = from[i] ^ turned[i % 8];
}

bool is_utf8(std::span<const std::byte> text) noexcept {
  for (std::size_t i = 0; i < text.size();) {
    const auto sequence = sequence_of(byte_at(text.data(), i++));
    if (!sequence || text.size() - i < sequence->more) return false;
    for (std::size_t k = 0; k < sequence->more; ++k, ++i) {
      const std::uint8_t next = byte_at(text.data(), i);
      const std::uint8_t low = k == 0 ? sequence->low : 0x80;
      const std::uint8_t high = k == 0 ? sequence->high : 0xbf;
      if (next < low || next > high) return false;
    }
  }
  return true;
}

CloseRead read_close(std::span<const std::byte> payload) noexcept {
  if (payload.empty()) return {};
  if (payload.size() == 1) return {close_none, close_protocol_error};
  const auto code = static_cast<std::uint16_t>(big_endian(payload.data(), 2));
  if (!is_valid_close_code(code)) return {code, close_protocol_error};
  if (!is_utf8(payload.subspan(2))) return {code, close_bad_payload};
  return {code, close_none};
}

}  // namespace twinwire::ws
