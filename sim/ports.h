// SPDX-License-Identifier: Apache-2.0
// Ports: which ports of one protocol a node has in use, and on which of its addresses. Ephemeral ones are given in
// ascending order, as a trace is easier to read when a number means one connection; and only where no address has it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sim/realm.h"

namespace twinwire::sim {

class Ports {
 public:
  static constexpr std::uint16_t ephemeral_first = 32768;  // Linux's ip_local_port_range
  static constexpr std::uint16_t ephemeral_last = 60999;

  // Takes the port of `bound`, or a free ephemeral one for 0. Returns 0 where it is in use, or none is free.
  std::uint16_t take(Address bound) {
    if (bound.port == 0) {
      constexpr int count = ephemeral_last - ephemeral_first + 1;
      for (int tries = 0; tries < count; ++tries) {
        const std::uint16_t candidate = next_;
        next_ = next_ == ephemeral_last ? ephemeral_first : static_cast<std::uint16_t>(next_ + 1);
        const auto at = first_of(candidate);
        if (at != used_.end() && at->port == candidate) continue;
        bound.port = candidate;
        used_.insert(at, bound);
        return candidate;
      }
      return 0;
    }
    const auto first = first_of(bound.port);
    for (auto at = first; at != used_.end() && at->port == bound.port; ++at)
      if (conflict(*at, bound)) return 0;
    used_.insert(first, bound);
    return bound.port;
  }
  void release(const Address& bound) noexcept {
    const auto at = std::find(first_of(bound.port), used_.end(), bound);
    if (at != used_.end()) used_.erase(at);
  }

 private:
  std::vector<Address>::iterator first_of(std::uint16_t port) noexcept {
    return std::lower_bound(used_.begin(), used_.end(), port,
                            [](const Address& a, std::uint16_t p) { return a.port < p; });
  }

  std::vector<Address> used_;  // sorted by port
  std::uint16_t next_ = ephemeral_first;
};

}  // namespace twinwire::sim
