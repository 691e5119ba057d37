// SPDX-License-Identifier: Apache-2.0
// Entropy in the World: what GnuTLS draws for itself, and the time it reads, come from the node for which it runs.
//
// entropy.cc defines gnutls_rnd, clock_gettime and time. A definition in the executable takes the place of the
// library's own, also where libgnutls calls itself; so keys, nonces and tickets are the same to the byte from run to
// run. Where no EntropyScope of a SeededRandom lives, they pass through. It fails silently where the linker binds
// otherwise: hence the self-test. The production archives hold none of it.
//
// It defines secure_getenv, too, so that GnuTLS finds no TLS policy of the machine, which would decide with the seed.
#pragma once

#include <cstdint>
#include <span>

#include "transport/base/mix.h"
#include "transport/net/clock.h"
#include "transport/net/random.h"

namespace twinwire::sim {

// A counter, scrambled with a key: the nth value is the same whatever else happens.
class SeededRandom final : public Random {
 public:
  // `clock`: whose time libraries read meanwhile; nullptr: the real one.
  explicit SeededRandom(std::uint64_t key, Clock* clock = nullptr) noexcept
      : key_(key), clock_(clock) {}

  void fill(std::span<std::byte> out) noexcept override;
  std::uint64_t next() noexcept override { return scramble(mix(key_, ++count_)); }
  std::uint64_t drawn() const noexcept { return count_; }

  // The first use of each proves that the hook is live, and aborts with a sentence where it is not.
  const void* begin_use() noexcept override;
  void end_use(const void* before) noexcept override;

  Clock* clock() const noexcept { return clock_; }

 private:
  std::uint64_t key_;
  std::uint64_t count_ = 0;
  Clock* clock_;
  bool tested_ = false;
};

// Whether libgnutls's own draws reach the hook.
bool entropy_hook_is_live() noexcept;

// While alive, this thread's hook passes everything through, as if the linker had bound past it. For the test of the
// self-test.
class EntropyHookOff {
 public:
  EntropyHookOff() noexcept;
  EntropyHookOff(const EntropyHookOff&) = delete;
  EntropyHookOff& operator=(const EntropyHookOff&) = delete;
  ~EntropyHookOff();
};

}  // namespace twinwire::sim
