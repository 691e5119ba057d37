// SPDX-License-Identifier: Apache-2.0
// DatagramOutcome: what a call of a datagram script came to; and the comparison of two runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "props/oracle/compare.h"
#include "props/oracle/datagram_script.h"
#include "props/oracle/outcome.h"

namespace twinwire::oracle {

// One datagram that was received.
struct Got {
  std::uint32_t serial = 0;  // the how manieth that was sent to this socket
  std::uint32_t size = 0;
  std::uint8_t from = 0;  // the sending socket
  Ecn ecn = Ecn::not_ect;
  std::optional<Place> remote;  // where it says it comes from, and where it was sent to
  std::optional<Place> local;
  bool intact = true;  // such a datagram was sent, and not received before

  friend bool operator==(const Got&, const Got&) = default;
};

struct DatagramOutcome {
  Kind kind = Kind::absent;
  Error error{};
  std::uint32_t count = 0;  // send: taken
  std::vector<Got> got;     // receive
  std::string bound;        // bind: where, if it was said where

  static DatagramOutcome of(Kind kind, std::uint32_t count = 0) {
    return {.kind = kind, .count = count};
  }
  static DatagramOutcome of(const Error& error) { return {.kind = Kind::error, .error = error}; }
};
using DatagramOutcomes = std::vector<DatagramOutcome>;

std::string to_text(const DatagramOutcome& outcome);
std::optional<Disagreement> compare(const DatagramScript& script, const DatagramOutcomes& truth,
                                    const DatagramOutcomes& claimed, Coverage& coverage);
std::string side_by_side(const DatagramScript& script, const DatagramOutcomes& truth,
                         const DatagramOutcomes& claimed);

}  // namespace twinwire::oracle
