// SPDX-License-Identifier: Apache-2.0
#include "props/laws/env.h"

#include <algorithm>
#include <limits>

#include "props/laws/test_credentials.h"
#include "sim/entropy.h"
#include "transport/base/mix.h"

namespace twinwire::laws {

Env::Env(Scope& scope, Judge& judge, std::uint64_t seed, std::vector<Knob> knobs)
    : scope_(&scope), judge_(&judge), seed_(seed), set_(std::move(knobs)) {}

std::uint64_t Env::draw(std::uint64_t bound) noexcept {
  const std::uint64_t bits = scramble(mix(seed_ ^ 0x5ce4a210ULL, ++draws_));
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(bits) * bound) >> 64);
}

std::int64_t Env::knob(std::string_view name, std::int64_t fallback) {
  return knob(name, fallback, std::numeric_limits<std::int64_t>::min(),
              std::numeric_limits<std::int64_t>::max());
}

std::int64_t Env::knob(std::string_view name, std::int64_t fallback, std::int64_t low,
                       std::int64_t high) {
  const auto named = [&](const Knob& knob) { return knob.name == name; };
  const auto set = std::find_if(set_.begin(), set_.end(), named);
  const std::int64_t value = std::clamp(set != set_.end() ? set->value : fallback, low, high);
  if (std::none_of(read_.begin(), read_.end(), named)) read_.push_back({std::string(name), value});
  return value;
}

TlsConfig Env::tls_config(bool listener) {
  TlsConfig& config = tls_[listener ? 1 : 0];
  if (config.credentials != nullptr) return config;
  const std::uint64_t variant = scramble(mix(seed_, 0x715));
  const bool tickets = variant % 4 == 1;
  // GnuTLS 3.7 clients do not show an Ed25519 certificate under TLS 1.2.
  const bool only_12 = variant / 16 % 8 == 1;
  const bool mutual = !only_12 && variant / 4 % 4 == 1;
  const TestCredentials& known = test_credentials();
  config.credentials = (listener ? known.server
                        : mutual ? known.client_with_name
                                 : known.client)
                           ->share();
  config.require_client_certificate = listener && mutual;
  if (only_12) config.versions = TlsVersions::only_12;
  if (variant / 128 % 4 == 1) config.key_update_after = 5000;
  if (listener && tickets) {
    sim::SeededRandom ticket_key(mix(seed_, 0x71c));
    config.credentials->enable_tickets(ticket_key);
  }
  if (!listener) {
    config.server_name = test_server_name;
    if (tickets) config.sessions = std::make_shared<TlsSessionCache>();
  }
  return config;
}

bool Env::one_stream() const noexcept { return scramble(mix(seed_, 0x15)) % 4 == 1; }

std::vector<std::string> Env::knobs_unread() const {
  std::vector<std::string> unread;
  for (const Knob& knob : set_)
    if (std::none_of(read_.begin(), read_.end(),
                     [&](const Knob& r) { return r.name == knob.name; }))
      unread.push_back(knob.name);
  return unread;
}

}  // namespace twinwire::laws
