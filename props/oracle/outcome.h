// SPDX-License-Identifier: Apache-2.0
// Outcome: what a call of a script came to, in the words of the byte seam (transport/net/byte_stream.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "transport/base/error.h"

namespace twinwire::oracle {

enum class Kind : std::uint8_t {
  absent,   // there was nothing to call: no such stream, not connected, closed
  ok,       // all of it was done; a single read: at least one byte
  blocked,  // nothing more to be had now
  end,      // the peer's end
  error,
};

struct Outcome {
  Kind kind = Kind::absent;
  std::uint64_t bytes = 0;  // moved, before whatever else happened
  Error error{};            // errno 0: not told
  bool intact = true;       // what was read is what was written there
  bool complete = true;     // a read: nothing that the peer's side took is still to come

  static Outcome of(Kind kind, std::uint64_t bytes = 0) { return {.kind = kind, .bytes = bytes}; }
  static Outcome of(Error error, std::uint64_t bytes = 0) {
    return {.kind = Kind::error, .bytes = bytes, .error = error};
  }
};

using Outcomes = std::vector<Outcome>;  // one for each step

std::string to_text(const Outcome& outcome);

}  // namespace twinwire::oracle
