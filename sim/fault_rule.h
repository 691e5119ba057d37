// SPDX-License-Identifier: Apache-2.0
// FaultRule: a fault that is on in one place, or for a while. FaultPlan has the same everywhere and always.
//
//   segment_delay@server=0.5:2000000      what the server sends or receives
//   reset@client>server=0.1               one direction
//   datagram_loss@client<>server=0.2      one link, both ways
//   partition@client<>server=1/2s..3s     from the second second to the third
//   partition@a+b<>c+d=1/2s..3s           two groups of nodes
//   partition@a+b<>*=1/2s..3s             a group, and all others
//
// A node is named, or "#1" for the first that was added. Of several rules that fit the last counts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/site.h"
#include "transport/base/error.h"
#include "transport/base/time.h"

namespace twinwire::sim {

struct Fault {
  // Probability that the choice is not 0, in parts per million of the times it is drawn.
  std::uint32_t ppm = 0;
  // The choice is then uniform in [1, bound] (less where the site has fewer).
  std::uint64_t bound = 1;
};

inline constexpr std::uint32_t certain = 1'000'000;

// Where a choice is made: the node that sends and the one that receives, or twice the one node that is concerned.
struct Place {
  static constexpr std::uint32_t nowhere = UINT32_MAX;
  std::uint32_t from = nowhere;
  std::uint32_t to = nowhere;
};

struct FaultRule {
  enum class Scope : std::uint8_t { everywhere, node, link, direction };

  Site site{};
  Fault fault;
  Scope scope = Scope::everywhere;
  std::string first;   // a node's name, or "#" and its number from 1; or several, joined by +
  std::string second;  // the same; or "*": all that are not among the first
  TimePoint from{0};
  TimePoint until = TimePoint::never();
  // The nodes, as far as the world has them.
  std::vector<std::uint32_t> first_nodes;
  std::vector<std::uint32_t> second_nodes;

  bool holds(Site asked, Place place, TimePoint now) const noexcept;
  bool is_scheduled() const noexcept { return from.ns != 0 || until != TimePoint::never(); }
  // A node was added: it may be one of those named.
  void resolve(std::string_view name, std::uint32_t ordinal);

  // Errors     invalid
  static Result<FaultRule> parse(std::string_view text);
  std::string to_text() const;
};

// "1500us", "5s". Errors     invalid
Result<TimePoint> parse_instant(std::string_view text);
std::string format_instant(TimePoint at);
// "0.05" as 50,000. Errors     invalid
Result<std::uint32_t> parse_probability(std::string_view text);
std::string format_probability(std::uint32_t ppm);
// "0.5" or "0.5:2000000", with the bound of `fault` where none is given. Errors     invalid
Result<Fault> parse_fault(std::string_view text, Fault fault);

}  // namespace twinwire::sim
