// SPDX-License-Identifier: Apache-2.0
#include "sim/outages.h"

#include <algorithm>
#include <string>

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

constexpr Site outage_sites[] = {Site::partition, Site::partition_one_way, Site::isolation,
                                 Site::split};

// Whether a split has the two on different sides.
bool parts(std::uint64_t key, Place place) noexcept {
  return (scramble(mix(key, place.from)) ^ scramble(mix(key, place.to))) % 2 != 0;
}

}  // namespace

Outages::Outages(World& world) noexcept : world_(&world) {
  for (const Site site : outage_sites) possible_ = possible_ || world.may_strike(site);
  for (const FaultRule& rule : world.options().faults.rules)
    in_plan_ = in_plan_ || (rule.is_scheduled() && rule.fault.ppm == certain);
}

void Outages::power_off(std::size_t node, TimePoint until) {
  possible_ = true;
  if (power_back_.size() <= node) power_back_.resize(node + 1);
  power_back_[node] = until;
}

bool Outages::powerless(std::uint32_t node) const noexcept {
  return node < power_back_.size() && world_->now() < power_back_[node];
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

const FaultRule* Outages::planned(Site site, Place place, TimePoint at) const {
  if (!in_plan_) return nullptr;
  // Of several that fit the last counts, as World::fault_at() has it.
  const std::vector<FaultRule>& rules = world_->options().faults.rules;
  for (std::size_t i = rules.size(); i-- > 0;)
    if (rules[i].holds(site, place, at))
      return rules[i].is_scheduled() && rules[i].fault.ppm == certain ? &rules[i] : nullptr;
  return nullptr;
}

bool Outages::lasts(const Cause& cause, TimePoint at) const {
  if (at >= world_->options().faults.calm) return false;
  return planned(cause.site, cause.place, at) != nullptr || at < cause.state->until;
}

// "client and server, apart from third"
std::string Outages::sides(std::uint64_t key) const {
  std::string here;
  std::string there;
  for (std::uint32_t node = 0; node < world_->node_count(); ++node) {
    std::string& side = parts(key, {0, node}) ? there : here;
    side += (side.empty() ? "" : " and ") + world_->name_of(node);
  }
  return here + ", apart from " + there;
}

// Once for each, when it first keeps something from arriving.
void Outages::tell(Site site, Place place, TimePoint& told_until, TimePoint drawn_until) {
  const TimePoint now = world_->now();
  if (!world_->tracing() || now < told_until) return;
  const FaultRule* rule = planned(site, place, now);
  told_until = std::min(rule != nullptr ? rule->until : drawn_until, world_->options().faults.calm);
  std::string text = std::string(name(site)) + ": ";
  if (site == Site::split) {
    text += sides(rule != nullptr ? static_cast<std::uint64_t>(rule->from.ns) : split_key_);
  } else {
    text += world_->name_of(place.from);
    if (site == Site::partition) text += " and " + world_->name_of(place.to);
    if (site == Site::partition_one_way) text += " towards " + world_->name_of(place.to);
  }
  text += told_until == TimePoint::never()
              ? " without end"
              : " for " + std::to_string((told_until - now).count()) + " ns";
  world_->tell("network", text);
}

bool Outages::begins_or_lasts(const Cause& cause) {
  if (world_->is_silent(cause.site)) return false;
  const TimePoint now = world_->now();
  const std::uint64_t length =
      world_->choose(cause.site, cause.place, cause.entity, cause.state->asked++, delay_max);
  // What is drawn while one lasts changes nothing, but where the plan says that it lasts: there each sending is its.
  const bool lasted = lasts(cause, now);
  if (length == 0 && !lasted) return false;
  if (length != 0 && (!lasted || planned(cause.site, cause.place, now) != nullptr))
    world_->decisions().bit(cause.site);
  if (!lasted) cause.state->until = now + Duration(length);
  tell(cause.site, cause.place, cause.state->told_until, cause.state->until);
  return true;
}

// Every one is asked, so that what one draws moves no other's key.
bool Outages::cut_now(Place place) {
  bool any = false;
  for (const Cause& cause : route(place).causes) any = begins_or_lasts(cause) || any;
  if (world_->may_strike(Site::split)) any = split_begins_or_lasts(place) || any;
  return any || powerless(place.from) || powerless(place.to);
}

// What stands in the plan for certain is one split from its beginning to its end.
bool Outages::split_lasts(Place place, TimePoint at) const {
  if (at >= world_->options().faults.calm) return false;
  if (const FaultRule* rule = planned(Site::split, place, at))
    return parts(static_cast<std::uint64_t>(rule->from.ns), place);
  return at < split_until_ && parts(split_key_, place);
}

// One at a time: what is drawn while it lasts begins no other.
bool Outages::split_begins_or_lasts(Place place) {
  const TimePoint now = world_->now();
  const bool lasted = split_lasts(place, now);
  const std::uint64_t length =
      world_->choose(Site::split, {}, World::root_entity, split_asked_++, delay_max);
  const bool begins = length != 0 && split_until_ <= now;
  if (begins) {
    split_key_ = length;
    split_until_ = now + Duration(length);
  }
  const bool cut = lasted || split_lasts(place, now);
  if (cut && length != 0 && (begins || planned(Site::split, place, now) != nullptr))
    world_->decisions().bit(Site::split);
  if (cut) tell(Site::split, place, split_told_until_, split_until_);
  return cut;
}

bool Outages::lasts_anywhere(Place place, TimePoint at) {
  for (const std::uint32_t node : {place.from, place.to})
    if (node < power_back_.size() && at < power_back_[node]) return true;
  const auto& causes = route(place).causes;
  return split_lasts(place, at) ||
         std::any_of(causes.begin(), causes.end(),
                     [&](const Cause& cause) { return lasts(cause, at); });
}

Duration Outages::wait_for_end(Place place) {
  if (!cut(place)) return Duration(0);
  Duration between = first_retransmission;
  for (Duration later = between; later < retransmission_limit; later += between) {
    if (!lasts_anywhere(place, world_->now() + later)) return later;
    between = std::min(2 * between, longest_between);
  }
  return Duration::max();
}

}  // namespace twinwire::sim
