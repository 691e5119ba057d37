// SPDX-License-Identifier: Apache-2.0
#include "transport/bus/handshake/nonce_cache.h"

#include <algorithm>
#include <span>

#include "transport/base/check.h"
#include "transport/base/plant.h"

namespace twinwire::bus {
namespace {

// Whether `later` is more than `window` after `earlier`, for any two values.
bool is_past(std::int64_t earlier, std::int64_t later, Duration window) noexcept {
  return TimePoint{earlier} + window < TimePoint{later};
}

}  // namespace

NonceCache::NonceCache(std::size_t per_dialer)
    : per_dialer_(per_dialer), entries_(dialers * per_dialer) {
  TWINWIRE_CHECK(per_dialer >= 1, "a cache of nonces with no place");
  floor_.fill(unused);
}

bool NonceCache::seen(std::uint8_t dialer, const HandshakeNonce& nonce, std::int64_t made_ns,
                      std::int64_t now_ns, Duration window) const noexcept {
  if (made_ns <= floor_[dialer] && !is_past(now_ns, floor_[dialer], window)) return true;
  const std::span<const Entry> places(entries_.data() + dialer * per_dialer_, per_dialer_);
  return std::ranges::any_of(
      places, [&](const Entry& entry) { return entry.made_ns != unused && entry.nonce == nonce; });
}

void NonceCache::record(std::uint8_t dialer, const HandshakeNonce& nonce, std::int64_t made_ns,
                        std::int64_t now_ns, Duration window) noexcept {
  const std::span<Entry> places(entries_.data() + dialer * per_dialer_, per_dialer_);
  for (Entry& entry : places)
    if (entry.made_ns != unused && is_past(entry.made_ns, now_ns, window)) entry.made_ns = unused;
  // A free place is the smallest of all.
  Entry& place = *std::ranges::min_element(places, {}, &Entry::made_ns);
  const Entry forgotten = place;
  floor_[dialer] = std::max(floor_[dialer], place.made_ns);
  // What is not younger than the floor counts as seen without a place.
  if (made_ns > floor_[dialer]) place = {nonce, made_ns};
  if (PLANT(handshake_nonces_without_bound) && forgotten.made_ns != unused)
    entries_.push_back(forgotten);  // behind all places
}

std::size_t NonceCache::size() const noexcept {
  return static_cast<std::size_t>(
      std::ranges::count_if(entries_, [](const Entry& e) { return e.made_ns != unused; }));
}

}  // namespace twinwire::bus
