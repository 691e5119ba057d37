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

  // Between the two, libraries that fetch entropy and time for themselves (GnuTLS) get this node's: see EntropyScope.
  // Production has nothing to do; they have the kernel. begin_use() returns what was in use before, for end_use().
  virtual const void* begin_use() noexcept { return nullptr; }
  virtual void end_use(const void* /*before*/) noexcept {}

 protected:
  ~Random() = default;
};

// Stands around every call into such a library. No fiber switch while it lives: another node would draw from this one.
class EntropyScope {
 public:
  explicit EntropyScope(Random& random) noexcept : random_(&random), before_(random.begin_use()) {}
  EntropyScope(const EntropyScope&) = delete;
  EntropyScope& operator=(const EntropyScope&) = delete;
  ~EntropyScope() { random_->end_use(before_); }

 private:
  Random* random_;
  const void* before_;
};

}  // namespace twinwire
