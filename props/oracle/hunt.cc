// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/hunt.h"

namespace twinwire::oracle {
namespace {

struct Both {
  Tempo tempo;
  const Runner& truth;
  const Runner& claimed;

  std::optional<Finding> run(const Script& script, Coverage& coverage) const {
    const Script paced = tempo == Tempo::settled ? settled(script) : script;
    Finding finding{paced, {}, truth(paced), claimed(paced)};
    const auto disagreement = compare(paced, finding.truth, finding.claimed, coverage);
    if (!disagreement) return std::nullopt;
    finding.disagreement = *disagreement;
    return finding;
  }
};

}  // namespace

std::optional<Finding> examine(const Script& drawn, Tempo tempo, const Runner& truth,
                               const Runner& claimed, Coverage& coverage) {
  const Both both{tempo, truth, claimed};
  std::optional<Finding> finding = both.run(drawn, coverage);
  if (!finding) return std::nullopt;
  Script script = drawn;
  if (tempo == Tempo::settled) script = without_pauses(script);  // run() puts them in
  shorten(script, [&](const Script& shorter) {
    Coverage unwanted;
    auto still = both.run(shorter, unwanted);
    if (!still) return false;
    finding = std::move(still);
    return true;
  });
  return finding;
}

std::string to_text(const Finding& finding) {
  return finding.disagreement.text + "\n" +
         side_by_side(finding.script, finding.truth, finding.claimed);
}

}  // namespace twinwire::oracle
