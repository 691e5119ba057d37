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

  // Around a cryptography library's calls (EntropyScope): where the library's own draws can be captured, as in the
  // World, they come from here meanwhile. Elsewhere they do nothing.
  virtual void begin_use() noexcept {}
  virtual void end_use() noexcept {}

 protected:
  ~Random() = default;
};

// While alive, the cryptography libraries on this thread draw from `random`, if it can capture them. Not nested, and no
// fiber suspends inside.
class EntropyScope {
 public:
  explicit EntropyScope(Random& random) noexcept : random_(&random) { random_->begin_use(); }
  EntropyScope(const EntropyScope&) = delete;
  EntropyScope& operator=(const EntropyScope&) = delete;
  ~EntropyScope() { random_->end_use(); }

 private:
  Random* random_;
};

}  // namespace twinwire
