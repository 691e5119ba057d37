// SPDX-License-Identifier: Apache-2.0
#include "sim/outages.h"

#include <algorithm>

#include "sim/fabric.h"
#include "sim/world.h"

namespace twinwire::sim {
namespace {

// tcp_retries2 = 15, and the least time until the first retransmission.
constexpr Duration first_retransmission = std::chrono::milliseconds(200);
constexpr Duration longest_between = std::chrono::seconds(120);
constexpr Duration retransmission_limit = std::chrono::seconds(924);

EntityId entity_of(Place place) noexcept {
  return mix(World::root_entity, std::uint64_t{place.from} << 32 | place.to);
}

constexpr Site outage_sites[] = {Site::partition, Site::partition_one_way, Site::isolation};

}  // namespace

Outages::Outages(World& world) noexcept : world_(&world) {
  for (const Site site : outage_sites) possible_ = possible_ || world.may_strike(site);
}

Outages::State& Outages::state(Site site, Place place) {
  return states_[mix(entity_of(place), static_cast<std::uint64_t>(site))];
}

bool Outages::lasts(Site site, Place place, TimePoint at) {
  if (at >= world_->options().faults.calm) return false;
  for (const FaultRule& rule : world_->options().faults.rules)
    if (rule.is_scheduled() && rule.fault.ppm == certain && rule.holds(site, place, at))
      return true;
  return at < state(site, place).until;
}

bool Outages::begins_or_lasts(Site site, Place place) {
  const TimePoint now = world_->now();
  State& known = state(site, place);
  const std::uint64_t length =
      world_->choose(site, place, entity_of(place), known.asked++, delay_max);
  if (length != 0) {
    world_->decisions().bit(site);
    // What stands in the plan ends when the plan says.
    if (!lasts(site, place, now)) known.until = now + Duration(length);
    return true;
  }
  return lasts(site, place, now);
}

// Every one is asked, so that what one draws moves no other's key.
bool Outages::cut_now(Place place) {
  const auto [low, high] = std::minmax(place.from, place.to);
  bool any = begins_or_lasts(Site::partition, {low, high});
  any = begins_or_lasts(Site::partition_one_way, place) || any;
  any = begins_or_lasts(Site::isolation, {place.from, place.from}) || any;
  return begins_or_lasts(Site::isolation, {place.to, place.to}) || any;
}

Duration Outages::wait_for_end(Place place) {
  if (!cut(place)) return Duration(0);
  const auto [low, high] = std::minmax(place.from, place.to);
  Duration between = first_retransmission;
  for (Duration later = between; later < retransmission_limit; later += between) {
    const TimePoint at = world_->now() + later;
    if (!lasts(Site::partition, {low, high}, at) && !lasts(Site::partition_one_way, place, at) &&
        !lasts(Site::isolation, {place.from, place.from}, at) &&
        !lasts(Site::isolation, {place.to, place.to}, at))
      return later;
    between = std::min(2 * between, longest_between);
  }
  return Duration::max();
}

}  // namespace twinwire::sim
