// SPDX-License-Identifier: Apache-2.0
// What a plan of faults must not have for the sake of a scenario's laws.
#pragma once

#include <algorithm>
#include <cstdint>

#include "sim/fault_plan.h"

namespace twinwire::laws {

// For laws that hold only while connections live: takes out whatever may end a connection, refuse it, or hold it up for
// longer than a deadline.
inline void keep_connections(sim::FaultPlan& plan) {
  using sim::Site;
  for (
      const Site site :
      {Site::connect_refused, Site::connect_black_hole, Site::accept_failure, Site::reset,
       Site::reset_one_side, Site::silent_loss, Site::early_fin, Site::clog, Site::bit_flip,
       Site::datagram_burst, Site::mtu_black_hole, Site::partition, Site::partition_one_way,
       Site::isolation, Site::split, Site::short_backlog, Site::no_descriptors, Site::no_memory,
       // QUIC relies on addresses that stay for the duration of the handshake (RFC 9000, section 9).
       Site::address_change})
    plan.off(site);
}

// For buses, whose replicas have to find each other and to believe each other.
inline void keep_buses_together(sim::FaultPlan& plan) {
  // Drawn once, for as long as a listener lives: it is no fault that ends.
  plan.off(sim::Site::short_backlog);
  // Replicas whose clocks differ by more than the window refuse each other: scenario `handshake`.
  plan.off(sim::Site::clock_skew);
  // Whatever the clients speak, replicas may speak TCP, which does not see it.
  plan.off(sim::Site::bit_flip);
}

// No fault that holds something up lasts longer.
inline void keep_faults_short(sim::FaultPlan& plan, std::uint64_t longest) {
  using sim::Site;
  const auto limit = [longest](Site site, sim::Fault& fault) {
    if (sim::strikes_node(site) || site == Site::clog || site == Site::partition ||
        site == Site::partition_one_way || site == Site::isolation || site == Site::split)
      fault.bound = std::min(fault.bound, longest);
  };
  for (std::size_t i = 0; i < sim::site_count; ++i) limit(static_cast<Site>(i), plan.faults[i]);
  for (sim::FaultRule& rule : plan.rules) limit(rule.site, rule.fault);
}

}  // namespace twinwire::laws
