// SPDX-License-Identifier: Apache-2.0
#include "sim/entropy.h"

#include <dlfcn.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include <algorithm>
#include <string_view>

#include "transport/base/check.h"

namespace twinwire::sim {
namespace {

struct InUse {
  SeededRandom* random = nullptr;
  bool off = false;
};

// The one thread-local of the house: GnuTLS hands no context to what it draws from. An EntropyScope is never alive
// across a fiber switch, so it needs no switching of its own.
constinit thread_local InUse in_use;

SeededRandom* source() noexcept { return in_use.off ? nullptr : in_use.random; }

std::int64_t node_time_ns(Clock& clock) noexcept { return clock.unix_now_ns(); }

// What would have been called without us.
template <class Function>
Function next_definition(const char* name) noexcept {
  auto found = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
  TWINWIRE_CHECK(found != nullptr, "a function that the World stands in front of has no original");
  return found;
}

}  // namespace

void SeededRandom::fill(std::span<std::byte> out) noexcept {
  while (!out.empty()) {
    // Little-endian by hand: the same bytes on every machine.
    std::uint64_t bits = next();
    const std::size_t some = std::min<std::size_t>(out.size(), 8);
    for (std::size_t i = 0; i < some; ++i, bits >>= 8) out[i] = static_cast<std::byte>(bits & 0xff);
    out = out.subspan(some);
  }
}

const void* SeededRandom::begin_use() noexcept {
  if (!tested_) {
    tested_ = true;
    TWINWIRE_CHECK(
        entropy_hook_is_live(),
        "GnuTLS does not draw its entropy from the World, so no run could be repeated: link the "
        "executable "
        "with the simulated network's archive and the shared libgnutls, and hide no symbol of it");
  }
  const void* before = in_use.random;
  in_use.random = this;
  return before;
}

void SeededRandom::end_use(const void* before) noexcept {
  in_use.random = static_cast<SeededRandom*>(const_cast<void*>(before));
}

bool entropy_hook_is_live() noexcept {
  SeededRandom probe(0);
  SeededRandom* const before = in_use.random;
  in_use.random = &probe;
  gnutls_datum_t key{};
  if (::gnutls_key_generate(&key, 16) == 0) ::gnutls_free(key.data);
  in_use.random = before;
  return probe.drawn() > 0;
}

EntropyHookOff::EntropyHookOff() noexcept { in_use.off = true; }
EntropyHookOff::~EntropyHookOff() { in_use.off = false; }

}  // namespace twinwire::sim

// ---- What stands in front of the libraries' own ---------------------------------------------------------------------

extern "C" {

__attribute__((visibility("default"))) int gnutls_rnd(gnutls_rnd_level_t level, void* data,
                                                      std::size_t size) {
  if (auto* random = twinwire::sim::source()) {
    random->fill({static_cast<std::byte*>(data), size});
    return 0;
  }
  static const auto real = twinwire::sim::next_definition<decltype(&gnutls_rnd)>("gnutls_rnd");
  return real(level, data, size);
}

// Session tickets and their age.
__attribute__((visibility("default"))) int clock_gettime(clockid_t id, timespec* out) noexcept {
  auto* random = twinwire::sim::source();
  if (random != nullptr && random->clock() != nullptr) {
    const std::int64_t now = twinwire::sim::node_time_ns(*random->clock());
    out->tv_sec = now / 1'000'000'000;
    out->tv_nsec = now % 1'000'000'000;
    return 0;
  }
  static const auto real =
      twinwire::sim::next_definition<int (*)(clockid_t, timespec*)>("clock_gettime");
  return real(id, out);
}

// The validity of certificates.
__attribute__((visibility("default"))) time_t time(time_t* out) noexcept {
  auto* random = twinwire::sim::source();
  time_t now = 0;
  if (random != nullptr && random->clock() != nullptr) {
    now = static_cast<time_t>(twinwire::sim::node_time_ns(*random->clock()) / 1'000'000'000);
  } else {
    static const auto real = twinwire::sim::next_definition<time_t (*)(time_t*)>("time");
    now = real(nullptr);
  }
  if (out != nullptr) *out = now;
  return now;
}

// The machine's TLS policy (GNUTLS_SYSTEM_PRIORITY_FILE, or /etc/gnutls/config), which GnuTLS reads before main() and
// holds above every priority string: with one, the same seed would shake hands otherwise. Here there is none.
__attribute__((visibility("default"))) char* secure_getenv(const char* name) noexcept {
  static char no_policy[] = "/dev/null";
  if (std::string_view(name) == "GNUTLS_SYSTEM_PRIORITY_FILE") return no_policy;
  static const auto real = twinwire::sim::next_definition<char* (*)(const char*)>("secure_getenv");
  return real(name);
}

}  // extern "C"
