// SPDX-License-Identifier: Apache-2.0
// Runs scripts on the kernel and beside it, and makes a script that shows a disagreement short.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "props/oracle/compare.h"

namespace twinwire::oracle {

using Runner = std::function<Outcomes(const Script&)>;

struct Finding {
  Script script;  // shrunk
  Disagreement disagreement;
  Outcomes truth;
  Outcomes claimed;
};

enum class Tempo : std::uint8_t {
  as_drawn,
  settled,  // everything is quiet between any two calls
};

// Runs the script on both, and counts into `coverage`; where they disagree, deletes steps as long as they still do.
std::optional<Finding> examine(const Script& script, Tempo tempo, const Runner& truth,
                               const Runner& claimed, Coverage& coverage);

std::string to_text(const Finding& finding);

}  // namespace twinwire::oracle
