// SPDX-License-Identifier: Apache-2.0
#include "props/laws/env.h"

#include <algorithm>
#include <limits>

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

std::vector<std::string> Env::knobs_unread() const {
  std::vector<std::string> unread;
  for (const Knob& knob : set_)
    if (std::none_of(read_.begin(), read_.end(),
                     [&](const Knob& r) { return r.name == knob.name; }))
      unread.push_back(knob.name);
  return unread;
}

}  // namespace twinwire::laws
