// SPDX-License-Identifier: Apache-2.0
// For scenarios whose law holds only while connections live: what a plan must not have then.
#pragma once

#include "sim/fault_plan.h"

namespace twinwire::laws {

// Takes out whatever may end a connection, refuse it, or hold it up for longer than a deadline.
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

}  // namespace twinwire::laws
