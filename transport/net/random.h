// SPDX-License-Identifier: Apache-2.0
// Random: the only source of chance. A stream per node drawn from the seed in the World, getrandom(2) in the Ring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace twinwire {

class Random {
 public:
  virtual void fill(std::span<std::byte> out) noexcept = 0;
  virtual std::uint64_t next() noexcept = 0;

  // Uniform in [0, bound); bound > 0. Multiplication method, without rejection: bias under bound / 2^64.
  std::uint64_t below(std::uint64_t bound) noexcept {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }

 protected:
  ~Random() = default;
};

}  // namespace twinwire
