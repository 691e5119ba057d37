// SPDX-License-Identifier: Apache-2.0
// Outages: who does not hear whom, and until when. Four faults: partition (two nodes, both ways), partition_one_way,
// isolation (one node and all others), and split (the nodes fall into two groups). And a node without power.
//
// An outage begins when somebody would be heard, and lasts for as long as was drawn; or it stands in the plan
// (FaultRule), to the nanosecond.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/decisions.h"
#include "sim/fault_rule.h"

namespace twinwire::sim {

class World;

class Outages {
 public:
  explicit Outages(World& world) noexcept;

  // Nobody hears that node, and it nobody, until then.
  void power_off(std::size_t node, TimePoint until);
  bool powerless(std::uint32_t node) const noexcept;

  bool possible() const noexcept { return possible_; }
  // Whether what the first node of the place sends now does not arrive at the second.
  bool cut(Place place) { return possible_ && place.from != place.to && cut_now(place); }
  // How much longer than usual it takes to arrive, by TCP: it is sent again after 200 ms, 600 ms, 1.4 s and so on,
  // until it gets through. The longest Duration where it never does within Linux's 924 s.
  Duration retransmission(Place place) { return possible_ ? wait_for_end(place) : Duration(0); }

 private:
  // Of one fault, and one pair of nodes or one node.
  struct State {
    std::uint64_t asked = 0;
    TimePoint until{0};
    TimePoint told_until{0};  // so far the trace knows of it
  };
  // One of the outages that can cut a route.
  struct Cause {
    Site site;
    Place place;
    EntityId entity;
    State* state;
  };
  // From one node to another, with all that can cut it. Each segment asks: what it takes is looked up once.
  struct Route {
    Place place;
    std::array<Cause, 4> causes;
  };
  bool cut_now(Place place);
  Duration wait_for_end(Place place);
  bool begins_or_lasts(const Cause& cause);
  bool split_begins_or_lasts(Place place);
  bool split_lasts(Place place, TimePoint at) const;
  // Without drawing, nor counting.
  bool lasts(const Cause& cause, TimePoint at) const;
  // The rule that says it for certain; nullptr: none.
  const FaultRule* planned(Site site, Place place, TimePoint at) const;
  std::string sides(std::uint64_t split_key) const;
  void tell(Site site, Place place, TimePoint& told_until, TimePoint drawn_until);
  bool lasts_anywhere(Place place, TimePoint at);
  Cause cause(Site site, Place place);
  const Route& route(Place place);

  World* world_;
  bool possible_ = false;
  bool in_plan_ = false;  // one that lasts as the plan says
  std::map<std::uint64_t, State> states_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, Route> routes_;
  std::array<const Route*, 16> recent_{};  // of routes_, each at the place that its nodes give it
  std::uint64_t split_asked_ = 0;
  std::uint64_t split_key_ = 0;  // says on which side a node is
  TimePoint split_until_{0};
  TimePoint split_told_until_{0};
  std::vector<TimePoint> power_back_;  // by node, as far as one was without
};

}  // namespace twinwire::sim
