// SPDX-License-Identifier: Apache-2.0
#include "props/laws/env.h"

#include <algorithm>
#include <limits>
#include <set>

#include "props/laws/test_credentials.h"
#include "sim/entropy.h"
#include "transport/base/mix.h"

namespace twinwire::laws {

Env::Env(Scope& scope, Judge& judge, std::uint64_t seed, std::vector<Knob> knobs)
    : scope_(&scope), judge_(&judge), seed_(seed), set_(std::move(knobs)), shaping_(!set_.empty()) {
  // Of two under one name the first counts.
  std::stable_sort(set_.begin(), set_.end(),
                   [](const Knob& a, const Knob& b) { return a.name < b.name; });
}

const Knob* Env::set(std::string_view name) const noexcept {
  const auto at =
      std::lower_bound(set_.begin(), set_.end(), name,
                       [](const Knob& knob, std::string_view n) { return knob.name < n; });
  return at != set_.end() && at->name == name ? &*at : nullptr;
}

void Env::was_read(std::string_view name, std::int64_t value) {
  if (std::none_of(read_.begin(), read_.end(), [&](const Knob& k) { return k.name == name; }))
    read_.push_back({std::string(name), value});
}

void Env::tell_shape(std::string_view name, std::int64_t value, std::int64_t plain, bool knob) {
  if (!told_ || std::find(told_of_.begin(), told_of_.end(), name) != told_of_.end()) return;
  told_of_.emplace_back(name);
  told_({std::string(name), value, plain, knob});
}

std::uint64_t Env::draw(std::uint64_t bound) {
  const std::uint64_t bits = scramble(mix(seed_ ^ 0x5ce4a210ULL, ++draws_));
  auto value = static_cast<std::uint64_t>((static_cast<unsigned __int128>(bits) * bound) >> 64);
  if (!shaping_) return value;
  if (const Knob* seeded = set("draws")) {
    was_read("draws", seeded->value);
    if (draws_ > static_cast<std::uint64_t>(std::max<std::int64_t>(0, seeded->value))) value = 0;
  }
  const std::string name = "draw" + std::to_string(draws_);
  if (const Knob* wanted = set(name)) {
    const std::uint64_t most = bound == 0 ? 0 : bound - 1;
    value = std::min(most, static_cast<std::uint64_t>(std::max<std::int64_t>(0, wanted->value)));
    read_.push_back({name, static_cast<std::int64_t>(value)});
  }
  // Each is made once: there is no need to look whether it was told before.
  if (told_) told_({name, static_cast<std::int64_t>(value), 0, false});
  return value;
}

std::int64_t Env::shape(std::string_view name, std::int64_t drawn, std::int64_t plain) {
  if (!shaping_) return drawn;
  const Knob* wanted = set(name);
  const std::int64_t value = wanted != nullptr ? wanted->value : drawn;
  if (wanted != nullptr) was_read(name, value);
  tell_shape(name, value, plain, false);
  return value;
}

std::int64_t Env::knob(std::string_view name, std::int64_t fallback) {
  return knob(name, fallback, std::numeric_limits<std::int64_t>::min(),
              std::numeric_limits<std::int64_t>::max());
}

std::int64_t Env::knob(std::string_view name, std::int64_t fallback, std::int64_t low,
                       std::int64_t high) {
  const Knob* wanted = set(name);
  const std::int64_t value = std::clamp(wanted != nullptr ? wanted->value : fallback, low, high);
  was_read(name, value);
  tell_shape(name, value, std::clamp<std::int64_t>(0, low, high), true);
  return value;
}

TlsConfig Env::tls_config(bool listener) {
  TlsConfig& config = tls_[listener ? 1 : 0];
  if (config.credentials != nullptr) return config;
  const std::uint64_t variant = scramble(mix(seed_, 0x715));
  const auto is_so = [&](std::string_view name, bool drawn) {
    return shape(name, drawn ? 1 : 0) != 0;
  };
  const bool tickets = is_so("tls.tickets", variant % 4 == 1);
  // GnuTLS 3.7 clients do not show an Ed25519 certificate under TLS 1.2.
  const bool only_12 = is_so("tls.only_12", variant / 16 % 8 == 1);
  const bool mutual = !only_12 && is_so("tls.mutual", variant / 4 % 4 == 1);
  const TestCredentials& known = test_credentials();
  config.credentials = (listener ? known.server
                        : mutual ? known.client_with_name
                                 : known.client)
                           ->share();
  config.require_client_certificate = listener && mutual;
  if (only_12) config.versions = TlsVersions::only_12;
  if (is_so("tls.key_updates", variant / 128 % 4 == 1)) config.key_update_after = 5000;
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

bool Env::one_stream() {
  return shape("one_stream", scramble(mix(seed_, 0x15)) % 4 == 1 ? 1 : 0) != 0;
}

std::vector<std::string> Env::knobs_unread() const {
  std::set<std::string_view> read;
  for (const Knob& knob : read_) read.insert(knob.name);
  std::vector<std::string> unread;
  for (const Knob& knob : set_)
    if (!read.contains(knob.name)) unread.push_back(knob.name);
  return unread;
}

}  // namespace twinwire::laws
