// SPDX-License-Identifier: Apache-2.0
#include "sim/entropy.h"

#include <dlfcn.h>
#include <gnutls/crypto.h>

#include <span>
#include <utility>

#include "transport/base/check.h"

namespace twinwire::sim {
namespace {

// The one thread-local in the house. No fiber suspends inside an EntropyScope, so a switch never sees it set.
constinit thread_local Random* current = nullptr;

}  // namespace

Random* exchange_entropy(Random* random) noexcept { return std::exchange(current, random); }

}  // namespace twinwire::sim

// libgnutls calls itself through the PLT, so this one definition captures every draw: keys, nonces, reset tokens.
extern "C" __attribute__((visibility("default"))) int gnutls_rnd(gnutls_rnd_level_t level,
                                                                 void* data, size_t size) {
  if (twinwire::Random* random = twinwire::sim::current) {
    random->fill(std::span(static_cast<std::byte*>(data), size));
    return 0;
  }
  using Function = int (*)(gnutls_rnd_level_t, void*, size_t);
  static const auto next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "gnutls_rnd"));
  TWINWIRE_CHECK(next != nullptr, "libgnutls is not linked behind its shim");
  return next(level, data, size);
}
