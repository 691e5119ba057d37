// SPDX-License-Identifier: Apache-2.0
// What goes wrong on one direction of a connection: at a byte, at an instant, or for as long as it lives.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "sim/connection.h"
#include "sim/fabric.h"
#include "sim/lie.h"
#include "sim/link.h"
#include "transport/base/sometimes.h"

namespace twinwire::sim {
namespace {

constexpr std::uint64_t bandwidth_least = 1'000'000'000;  // ns for each KiB

constexpr Site trip_sites[] = {Site::reset, Site::reset_one_side, Site::silent_loss,
                               Site::early_fin};

}  // namespace

void Link::draw_faults() {
  for (const Site site : trip_sites) {
    const std::uint64_t choice = world_->choose(site, place_, entity_, 0);
    if (choice != 0 && choice - 1 < trip_at_) {
      trip_at_ = choice - 1;
      trip_site_ = site;
    }
  }
  if (world_->may_strike(Site::bit_flip))
    flip_at_ = world_->choose(Site::bit_flip, place_, entity_, 0) - 1;
  if (world_->may_strike(Site::bandwidth))
    ns_per_kib_ = world_->choose(Site::bandwidth, place_, entity_, 0, bandwidth_least);
}

Duration Link::hold_up_drawn(std::size_t size) {
  Duration held(0);
  if (ns_per_kib_ != 0) {
    line_free_ = std::max(line_free_, world_->now()) +
                 Duration(static_cast<std::int64_t>(size * ns_per_kib_ / 1024));
    held = line_free_ - world_->now();
    if (held > Duration(0) && !std::exchange(bandwidth_bit_, true)) {
      world_->decisions().bit(Site::bandwidth);
      if (world_->tracing())
        world_->tell(who_,
                     "bandwidth: a KiB takes " + std::to_string(ns_per_kib_) + " ns to leave");
    }
  }
  const Duration again = outages_->retransmission(place_);
  if (again == Duration(0)) return held;
  if (world_->tracing())
    world_->tell(who_, again == Duration::max()
                           ? std::string("lost in an outage, for good")
                           : "lost in an outage, and sent again " +
                                 std::to_string(again.count() / 1'000'000) + " ms later");
  if (again == Duration::max()) {
    silent_ = true;
    return held;
  }
  if (resent_ <= world_->now()) resent_ = world_->now() + again;
  world_->reached(Sometimes::lost_and_sent_again);
  return held + again;
}

bool Link::postponed() {
  Outages& outages = connection_->fabric().outages();
  if (silent_ || cut_ || !outages.powerless(place_.to)) return false;
  const Duration again = outages.retransmission(place_);
  if (again == Duration::max()) {
    silent_ = true;
    return false;
  }
  const TimePoint at = world_->now() + again;
  if (resent_ <= world_->now()) resent_ = at;
  for (std::size_t i = received_; i < received_ + in_flight_; ++i)
    segments_[i].arrival = std::max(segments_[i].arrival, at);
  for (std::size_t i = 0; i < controls_.size(); ++i)
    controls_[i].arrival = std::max(controls_[i].arrival, at);
  last_arrival_ = std::max(last_arrival_, at);
  return true;
}

bool Link::lose_power() noexcept {
  discard_unsent();
  returns_.clear();
  if (resent_ <= world_->now()) return false;
  while (in_flight_ > 0 && segments_.back().arrival >= resent_) {
    sent_ -= segments_.back().size;
    drop(segments_.back().block);
    segments_.pop_back();
    --in_flight_;
  }
  std::size_t left = 0;
  while (left < controls_.size() && controls_[left].arrival < resent_) ++left;
  const bool open = drop_controls(left);
  schedule_arrivals();
  return open;
}

// A fault at a byte that a rule puts at an instant: it meets the first byte that arrives then.
void Link::draw_scheduled_trips() {
  if (world_->is_calm()) return;
  const std::vector<FaultRule>& rules = world_->options().faults.rules;
  for (std::size_t i = 0; i < rules.size() && i < 64; ++i)
    for (const Site site : trip_sites) {
      const std::uint64_t drawn = std::uint64_t{1} << i;
      if (!rules[i].is_scheduled() || (trips_drawn_ & drawn) != 0 ||
          !rules[i].holds(site, place_, world_->now()))
        continue;
      trips_drawn_ |= drawn;
      if (world_->decisions().choose(site, rules[i].fault, entity_, appointment(site, i), 1) == 0)
        continue;
      trip_at_ = delivered_;
      trip_site_ = site;
    }
}

void Link::flip(Segment& segment) {
  const std::uint64_t bit = std::exchange(flip_at_, UINT64_MAX);
  if (bit < 8 * delivered_) return;  // gone by with what was dropped
  Block* changed = world_->buffers().allocate(segment.size);
  if (changed == nullptr) return;
  std::memcpy(changed->data, segment.block->data + segment.begin, segment.size);
  changed->data[bit / 8 - delivered_] ^= std::byte{1} << (bit % 8);
  drop(segment.block);
  segment.block = changed;
  segment.begin = 0;
  world_->decisions().bit(Site::bit_flip);
  world_->step(Step::fault, entity_, static_cast<std::uint64_t>(Site::bit_flip), who_, [&] {
    return "bit " + std::to_string(bit % 8) + " of byte " + std::to_string(bit / 8) +
           " arrives flipped";
  });
}

void Link::trip(std::uint32_t size) {
  const Site site = trip_site_;
  const std::uint64_t at = trip_at_;
  trip_at_ = UINT64_MAX;
  if (site == Site::reset && LIE(reset_is_only_counted)) {
    world_->decisions().bit(site);
    return size > 0 ? deliver() : deliver_fin();
  }
  if (at > delivered_) {
    world_->reached(Sometimes::cut_inside_segment);
    // What lies before the fault still arrives; the rest is a segment of its own.
    const auto whole = static_cast<std::uint32_t>(at - delivered_);
    Segment rest = segments_[received_];
    rest.begin += whole;
    rest.size = size - whole;
    ++rest.block->references;
    segments_[received_].size = whole;
    segments_.insert(received_ + 1, rest);
    ++in_flight_;
    deliver();
  }
  world_->decisions().bit(site);
  world_->step(Step::fault, entity_, static_cast<std::uint64_t>(site), who_,
               [&] { return std::string(name(site)) + " at offset " + std::to_string(at); });
  const bool data = size > 0;
  switch (site) {
    case Site::reset:
      connection_->die(1 - side_, ECONNRESET);
      connection_->die(side_, ECONNRESET);
      break;
    case Site::reset_one_side: connection_->die(1 - side_, ECONNRESET); break;
    case Site::silent_loss:
      silent_ = true;
      // What the receiver's own direction still waits to have acknowledged never will be.
      reverse().returned();
      reverse().returns_.clear();
      reverse().start_timeout();
      lost();
      break;
    default:  // early_fin
      cut_ = true;
      ended_ = true;
      // Whoever forged this end resets the other side: it cannot forge that side's end as well.
      if (reverse().trip_site_ == Site::early_fin) reverse().trip_at_ = UINT64_MAX;
      connection_->wake_reader(1 - side_);
      reverse().send_reset(false);
      break;
  }
  if (data) drop_front_in_flight();
  probe_if_stuck();
}

}  // namespace twinwire::sim
