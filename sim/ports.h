// SPDX-License-Identifier: Apache-2.0
// Ports: which ports of one protocol a node has in use. Ephemeral ones are given in ascending order, as a trace is
// easier to read when a number means one connection.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace twinwire::sim {

class Ports {
 public:
  static constexpr std::uint16_t ephemeral_first = 32768;  // Linux's ip_local_port_range
  static constexpr std::uint16_t ephemeral_last = 60999;

  // Takes `port`, or a free ephemeral one for 0. Returns 0 where it is in use, or none is free.
  std::uint16_t take(std::uint16_t port) {
    if (port == 0) {
      constexpr int count = ephemeral_last - ephemeral_first + 1;
      for (int tries = 0; tries < count; ++tries) {
        const std::uint16_t candidate = next_;
        next_ = next_ == ephemeral_last ? ephemeral_first : static_cast<std::uint16_t>(next_ + 1);
        if (insert(candidate)) return candidate;
      }
      return 0;
    }
    return insert(port) ? port : std::uint16_t{0};
  }
  void release(std::uint16_t port) noexcept {
    const auto at = std::lower_bound(used_.begin(), used_.end(), port);
    if (at != used_.end() && *at == port) used_.erase(at);
  }

 private:
  bool insert(std::uint16_t port) {
    const auto at = std::lower_bound(used_.begin(), used_.end(), port);
    if (at != used_.end() && *at == port) return false;
    used_.insert(at, port);
    return true;
  }

  std::vector<std::uint16_t> used_;  // sorted
  std::uint16_t next_ = ephemeral_first;
};

// Those of a node: its kernel's, so that they outlive a program that was killed.
struct NodePorts {
  Ports streams;
  Ports datagrams;
};

}  // namespace twinwire::sim
