// SPDX-License-Identifier: Apache-2.0
// Compares what a script came to in two worlds.
#pragma once

#include <optional>
#include <string>

#include "props/oracle/outcome.h"
#include "props/oracle/script.h"

namespace twinwire::oracle {

struct Disagreement {
  std::size_t step = 0;
  std::string text;
};

// `truth` is the kernel's. Nothing: they agree.
std::optional<Disagreement> compare(const Script& script, const Outcomes& truth,
                                    const Outcomes& claimed);

// Both runs side by side, for a person.
std::string side_by_side(const Script& script, const Outcomes& truth, const Outcomes& claimed);

}  // namespace twinwire::oracle
