// SPDX-License-Identifier: Apache-2.0
// Compares what a script came to in two worlds. What may differ, and why, is said once: here, in compare.cc and in
// docs/oracle.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "props/oracle/outcome.h"
#include "props/oracle/script.h"

namespace twinwire::oracle {

struct Disagreement {
  std::size_t step = 0;
  std::string text;
};

// Over many scripts: how much of what was done was compared how strictly.
struct Coverage {
  std::uint64_t exact = 0;   // to the byte and to the errno
  std::uint64_t kind = 0;    // what it came to, and whether it was all; not how many bytes it was
  std::uint64_t parted = 0;  // not: the two runs had come apart where they may
};

// `truth` is the kernel's. Nothing: they agree.
std::optional<Disagreement> compare(const Script& script, const Outcomes& truth,
                                    const Outcomes& claimed, Coverage& coverage);

// Both runs side by side, for a person.
std::string side_by_side(const Script& script, const Outcomes& truth, const Outcomes& claimed);

}  // namespace twinwire::oracle
