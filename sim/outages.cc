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
  for (const FaultRule& rule : world.options().faults.rules)
    in_plan_ = in_plan_ || (rule.is_scheduled() && rule.fault.ppm == certain);
}

Outages::Cause Outages::cause(Site site, Place place) {
  const EntityId entity = entity_of(place);
  return {site, place, entity, &states_[mix(entity, static_cast<std::uint64_t>(site))]};
}

const Outages::Route& Outages::route(Place place) {
  const Route*& recent = recent_[(place.from * 4 + place.to) % recent_.size()];
  if (recent != nullptr && recent->place.from == place.from && recent->place.to == place.to)
    return *recent;
  const auto [at, fresh] = routes_.try_emplace({place.from, place.to});
  if (fresh) {
    const auto [low, high] = std::minmax(place.from, place.to);
    at->second = {place,
                  {cause(Site::partition, {low, high}), cause(Site::partition_one_way, place),
                   cause(Site::isolation, {place.from, place.from}),
                   cause(Site::isolation, {place.to, place.to})}};
  }
  recent = &at->second;
  return *recent;
}

bool Outages::lasts(const Cause& cause, TimePoint at) const {
  if (at >= world_->options().faults.calm) return false;
  if (in_plan_)
    for (const FaultRule& rule : world_->options().faults.rules)
      if (rule.is_scheduled() && rule.fault.ppm == certain &&
          rule.holds(cause.site, cause.place, at))
        return true;
  return at < cause.state->until;
}

bool Outages::begins_or_lasts(const Cause& cause) {
  if (world_->is_silent(cause.site)) return false;
  const TimePoint now = world_->now();
  const std::uint64_t length =
      world_->choose(cause.site, cause.place, cause.entity, cause.state->asked++, delay_max);
  if (length != 0) {
    world_->decisions().bit(cause.site);
    // What stands in the plan ends when the plan says.
    if (!lasts(cause, now)) cause.state->until = now + Duration(length);
    return true;
  }
  return lasts(cause, now);
}

// Every one is asked, so that what one draws moves no other's key.
bool Outages::cut_now(Place place) {
  bool any = false;
  for (const Cause& cause : route(place).causes) any = begins_or_lasts(cause) || any;
  return any;
}

Duration Outages::wait_for_end(Place place) {
  if (!cut(place)) return Duration(0);
  const Route& cut_route = route(place);
  Duration between = first_retransmission;
  for (Duration later = between; later < retransmission_limit; later += between) {
    const TimePoint at = world_->now() + later;
    if (std::none_of(cut_route.causes.begin(), cut_route.causes.end(),
                     [&](const Cause& cause) { return lasts(cause, at); }))
      return later;
    between = std::min(2 * between, longest_between);
  }
  return Duration::max();
}

}  // namespace twinwire::sim
