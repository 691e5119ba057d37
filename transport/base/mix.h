// SPDX-License-Identifier: Apache-2.0
// Mixing 64-bit values: how entities are named and draws are keyed. Integers only, same result on every compiler.
#pragma once

#include <cstdint>

namespace twinwire {

// One 64x64 -> 128 multiply, folded. Good avalanche for keys; not a cryptographic hash.
constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
  const unsigned __int128 product =
      static_cast<unsigned __int128>(a ^ 0x9e3779b97f4a7c15ULL) * (b ^ 0xd6e8feb86659fd93ULL);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// The finaliser of SplitMix64: one-to-one, so distinct inputs stay distinct.
constexpr std::uint64_t scramble(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// Names a thing: by its parent and its ordinal under it. Stable when unrelated things come or go.
using EntityId = std::uint64_t;
constexpr EntityId child_entity(EntityId parent, std::uint64_t ordinal) noexcept {
  return scramble(parent + 0x9e3779b97f4a7c15ULL * (ordinal + 1));
}

}  // namespace twinwire
