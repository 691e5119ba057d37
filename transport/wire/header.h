// SPDX-License-Identifier: Apache-2.0
// The 256-byte frame header, little-endian, and where its fields lie. `size` counts header and body.
//
// The layout is that of Apache Iggy's consensus header, to the byte, so that a peer in another language can talk to us.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace twinwire {

inline constexpr std::size_t header_size = 256;
inline constexpr std::size_t default_max_message = std::size_t{64} << 20;  // 64 MiB

enum class Command : std::uint8_t {
  reserved = 0,
  ping = 1,
  pong = 2,
  ping_client = 3,
  pong_client = 4,
  request = 5,
  prepare = 6,
  prepare_ok = 7,
  reply = 8,
  commit = 9,
  start_view_change = 10,
  do_view_change = 11,
  start_view = 12,  // the last known command; anything above is undecodable
};

struct U128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const U128&, const U128&) = default;
};

namespace offset {
inline constexpr std::size_t checksum = 0;                 // u128
inline constexpr std::size_t checksum_body = 16;           // u128
inline constexpr std::size_t cluster = 32;                 // u128
inline constexpr std::size_t size = 48;                    // u32
inline constexpr std::size_t view = 52;                    // u32
inline constexpr std::size_t release = 56;                 // u32
inline constexpr std::size_t command = 60;                 // u8
inline constexpr std::size_t replica = 61;                 // u8
inline constexpr std::size_t reserved_frame = 62;          // 66 bytes
inline constexpr std::size_t reserved_command = 128;       // 128 bytes
inline constexpr std::size_t request_id_of_request = 168;  // u64
inline constexpr std::size_t request_id_of_reply = 200;    // u64
}  // namespace offset

static_assert(
    std::endian::native == std::endian::little,
    "the header is read in place; a big-endian host needs byte swaps in load() and store()");

template <class T>
T load(const std::byte* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <class T>
void store(std::byte* to, T value) noexcept {
  std::memcpy(to, &value, sizeof value);
}

// Reads a header where it lies. `bytes` holds at least 256 bytes and outlives the view.
class HeaderView {
 public:
  explicit HeaderView(const std::byte* bytes) noexcept : bytes_(bytes) {}
  U128 checksum() const noexcept { return load<U128>(bytes_ + offset::checksum); }
  U128 checksum_body() const noexcept { return load<U128>(bytes_ + offset::checksum_body); }
  U128 cluster() const noexcept { return load<U128>(bytes_ + offset::cluster); }
  std::uint32_t size() const noexcept { return load<std::uint32_t>(bytes_ + offset::size); }
  std::uint32_t view() const noexcept { return load<std::uint32_t>(bytes_ + offset::view); }
  std::uint32_t release() const noexcept { return load<std::uint32_t>(bytes_ + offset::release); }
  std::uint8_t command_byte() const noexcept {
    return load<std::uint8_t>(bytes_ + offset::command);
  }
  // Only after the header was checked.
  Command command() const noexcept { return static_cast<Command>(command_byte()); }
  std::uint8_t replica() const noexcept { return load<std::uint8_t>(bytes_ + offset::replica); }

 private:
  const std::byte* bytes_;
};

}  // namespace twinwire
