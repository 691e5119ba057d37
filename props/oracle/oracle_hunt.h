// SPDX-License-Identifier: Apache-2.0
// What the oracle's tests have in common: how many scripts, from which seed, and what is printed.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "props/oracle/hunt.h"
#include "props/oracle/private_network.h"

namespace twinwire::oracle {

// TWINWIRE_ORACLE_SCRIPTS=20000 hunts longer; TWINWIRE_ORACLE_SEED=7 begins elsewhere.
inline std::uint64_t oracle_number(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

class OracleTest : public testing::Test {
 protected:
  void SetUp() override {
    if (auto entered = enter_private_network(); !entered)
      GTEST_SKIP() << "no network namespace to be had: " << to_string(entered.error());
  }
};

// `look(seed, coverage)`: what was found, as text; nothing: the two agree.
template <class Look>
void hunt(std::uint64_t scripts, const Look& look) {
  const std::uint64_t first = oracle_number("TWINWIRE_ORACLE_SEED", 1);
  scripts = oracle_number("TWINWIRE_ORACLE_SCRIPTS", scripts);
  Coverage coverage;
  int findings = 0;
  std::uint64_t seed = first;
  for (; seed < first + scripts && findings < 5; ++seed) {
    if (const auto finding = look(seed, coverage)) {
      ++findings;
      ADD_FAILURE() << *finding << "\nagain: TWINWIRE_ORACLE_SEED=" << seed
                    << " TWINWIRE_ORACLE_SCRIPTS=1";
    }
  }
  std::printf(
      "%llu scripts, %d disagreements; calls compared: %llu exactly, %llu but for counts, %llu "
      "not\n",
      static_cast<unsigned long long>(seed - first), findings,
      static_cast<unsigned long long>(coverage.exact),
      static_cast<unsigned long long>(coverage.kind),
      static_cast<unsigned long long>(coverage.parted));
}

template <class Draw, class Truth, class Claimed>
void hunt_any(std::uint64_t scripts, bool settles, const Draw& draw, const Truth& truth,
              const Claimed& claimed) {
  hunt(scripts, [&](std::uint64_t seed, Coverage& coverage) {
    return examine_any(draw(seed), settles, truth, claimed, coverage);
  });
}

}  // namespace twinwire::oracle
