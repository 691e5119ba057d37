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

// Deletes steps, many at a time and then one by one, as long as `shows` says that what was found still shows.
template <class AnyScript, class Shows>
void shorten(AnyScript script, const Shows& shows) {
  for (std::size_t chunk = script.steps.size(); chunk > 0; chunk /= 2) {
    for (std::size_t at = 0; at + chunk <= script.steps.size();) {
      AnyScript shorter = script;
      const auto first = shorter.steps.begin() + static_cast<std::ptrdiff_t>(at);
      shorter.steps.erase(first, first + static_cast<std::ptrdiff_t>(chunk));
      if (shows(shorter))
        script = std::move(shorter);
      else
        ++at;
    }
  }
}

// The same for other kinds of scripts: a text, or nothing where the two agree.
template <class AnyScript, class Truth, class Claimed>
std::optional<std::string> examine_any(const AnyScript& drawn, bool settles, const Truth& truth,
                                       const Claimed& claimed, Coverage& coverage) {
  std::optional<std::string> finding;
  const auto shows = [&](const AnyScript& script, Coverage& counts) {
    const AnyScript paced = settles ? settled(script) : script;
    const auto kernel = truth(paced);
    const auto other = claimed(paced);
    const auto disagreement = compare(paced, kernel, other, counts);
    if (!disagreement) return false;
    finding = disagreement->text + "\n" + side_by_side(paced, kernel, other);
    return true;
  };
  if (!shows(drawn, coverage)) return std::nullopt;
  shorten(settles ? without_pauses(drawn) : drawn, [&](const AnyScript& script) {
    Coverage unwanted;
    return shows(script, unwanted);
  });
  return finding;
}

}  // namespace twinwire::oracle
