// SPDX-License-Identifier: Apache-2.0
// PortScript: who may have which port of which address. Listeners, and those who dial, on one host that speaks to
// itself by every address that it has; everything settles after each call.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "props/oracle/compare.h"
#include "props/oracle/outcome.h"
#include "props/oracle/place.h"

namespace twinwire::oracle {

enum class PortOp : std::uint8_t {
  listen,
  close_listener,
  dial,
  accept,
  drop,      // destroys a stream before its ends: a reset
  end,       // shutdown_write(), then a look for the peer's end
  read_end,  // that look alone
};
inline constexpr int port_op_count = static_cast<int>(PortOp::read_end) + 1;

inline constexpr std::size_t port_listeners = 3;
inline constexpr std::size_t port_connections = 3;
inline constexpr std::uint8_t numbered_ports = 4;  // 1 to this
inline constexpr std::uint8_t unheard_port = numbered_ports + 1;

struct PortStep {
  PortOp op{};
  std::uint8_t which = 0;     // listener, or connection
  std::uint8_t side = 0;      // of a connection: 0 dialed
  Place place = Place::any4;  // to listen on, or to dial
  std::uint8_t port = 0;      // 0: any; to dial: none at all
  std::optional<Place> from;  // to dial from
  std::uint8_t from_port = 0;

  friend bool operator==(const PortStep&, const PortStep&) = default;
};

struct PortScript {
  std::uint64_t seed = 0;

  std::vector<PortStep> steps;
};

// What a call came to; where a stream or listener was made, its addresses by name.
struct PortOutcome {
  Kind kind = Kind::absent;
  Error error{};
  std::string where;
};
using PortOutcomes = std::vector<PortOutcome>;

std::string to_text(const PortStep& step);
std::string to_text(const PortOutcome& outcome);
inline PortScript without_pauses(const PortScript& script) { return script; }
inline PortScript settled(const PortScript& script) { return script; }
PortScript port_script_of(std::uint64_t seed);

std::optional<Disagreement> compare(const PortScript& script, const PortOutcomes& truth,
                                    const PortOutcomes& claimed, Coverage& coverage);
std::string side_by_side(const PortScript& script, const PortOutcomes& truth,
                         const PortOutcomes& claimed);

PortOutcomes run_ports_on_kernel(const PortScript& script);
PortOutcomes run_ports_in_world(const PortScript& script);
PortOutcomes run_ports_on_ring(const PortScript& script);

}  // namespace twinwire::oracle
