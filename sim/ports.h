// SPDX-License-Identifier: Apache-2.0
// Ports: which ports of one protocol a node has in use, and on which of its addresses. Ephemeral ones are given in
// ascending order, as a trace is easier to read when a number means one connection; and only where no address has it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sim/realm.h"
#include "transport/base/time.h"

namespace twinwire::sim {

class Ports {
 public:
  static constexpr std::uint16_t ephemeral_first = 32768;  // Linux's ip_local_port_range
  static constexpr std::uint16_t ephemeral_last = 60999;

  // Takes the port of `bound`, or a free ephemeral one for 0. Returns 0 where it is in use, or none is free.
  // `reuses`: what lingers of accepted connections is no obstacle (SO_REUSEADDR, as listeners set it and dialers not).
  std::uint16_t take(Address bound, TimePoint now, bool reuses) {
    if (bound.port == 0) {
      constexpr int count = ephemeral_last - ephemeral_first + 1;
      for (int tries = 0; tries < count; ++tries) {
        bound.port = next_;
        next_ = next_ == ephemeral_last ? ephemeral_first : static_cast<std::uint16_t>(next_ + 1);
        const auto first = first_of(bound.port);
        const auto last = end_of(first, bound.port);
        // What lingers does not count, and gives way: a connect may take such a port, as long as it goes elsewhere.
        const auto live = [](const Entry& e) { return e.until == TimePoint::never(); };
        if (std::any_of(first, last, live)) continue;
        used_.erase(first, last);
        used_.insert(first_of(bound.port), {bound});
        return bound.port;
      }
      return 0;
    }
    const auto first = first_of(bound.port);
    const auto last = end_of(first, bound.port);
    used_.erase(std::remove_if(first, last, [&](const Entry& e) { return e.until <= now; }), last);
    const auto at = first_of(bound.port);
    if (std::any_of(at, end_of(at, bound.port), [&](const Entry& e) {
          return !(reuses && e.accepted) && conflict(e.bound, bound);
        }))
      return 0;
    used_.insert(at, {bound});
    return bound.port;
  }
  void release(const Address& bound) noexcept {
    const auto at = find(bound, false);
    if (at != used_.end()) used_.erase(at);
  }
  // The port that a dial has lingers (TIME_WAIT).
  void linger(const Address& bound, TimePoint until) noexcept {
    const auto at = find(bound, false);
    if (at != used_.end()) at->until = until;
  }
  // That of an accepted connection; one entry stands for all of them.
  void linger_accepted(const Address& bound, TimePoint until) {
    const auto at = find(bound, true);
    if (at != used_.end())
      at->until = std::max(at->until, until);
    else
      used_.insert(first_of(bound.port), {bound, until, true});
  }

 private:
  struct Entry {
    Address bound;
    TimePoint until = TimePoint::never();
    bool accepted = false;  // connections of a listener
  };
  using Entries = std::vector<Entry>;

  Entries::iterator first_of(std::uint16_t port) noexcept {
    return std::lower_bound(used_.begin(), used_.end(), port,
                            [](const Entry& e, std::uint16_t p) { return e.bound.port < p; });
  }
  Entries::iterator end_of(Entries::iterator first, std::uint16_t port) noexcept {
    return std::find_if(first, used_.end(), [&](const Entry& e) { return e.bound.port != port; });
  }
  // In use and not accepted, or what lingers of accepted ones.
  Entries::iterator find(const Address& bound, bool accepted) noexcept {
    return std::find_if(first_of(bound.port), used_.end(), [&](const Entry& e) {
      return e.bound == bound && e.accepted == accepted &&
             (accepted || e.until == TimePoint::never());
    });
  }

  Entries used_;  // sorted by port
  std::uint16_t next_ = ephemeral_first;
};

// Those of a node: its kernel's, so that they outlive a program that was killed.
struct NodePorts {
  Ports streams;
  Ports datagrams;
};

}  // namespace twinwire::sim
