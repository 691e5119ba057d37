// SPDX-License-Identifier: Apache-2.0
// The differential oracle: one script of socket calls in the World, on the kernel and on the Ring; docs/oracle.md.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "props/oracle/generator.h"
#include "props/oracle/hunt.h"
#include "props/oracle/kernel_runner.h"
#include "props/oracle/seam_runner.h"

namespace twinwire::oracle {
namespace {

// TWINWIRE_ORACLE_SCRIPTS=20000 hunts longer; TWINWIRE_ORACLE_SEED=7 begins elsewhere.
std::uint64_t number(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

void hunt(std::uint64_t scripts, Tempo tempo, const Runner& truth, const Runner& claimed) {
  const std::uint64_t first = number("TWINWIRE_ORACLE_SEED", 1);
  Coverage coverage;
  int findings = 0;
  std::uint64_t seed = first;
  for (; seed < first + scripts && findings < 5; ++seed) {
    if (const auto finding = examine(script_of(seed), tempo, truth, claimed, coverage)) {
      ++findings;
      ADD_FAILURE() << to_text(*finding) << "\nagain: TWINWIRE_ORACLE_SEED=" << seed
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

class Oracle : public testing::Test {
 protected:
  void SetUp() override {
    if (auto entered = enter_private_network(); !entered)
      GTEST_SKIP() << "no network namespace to be had: " << to_string(entered.error());
  }
};

TEST_F(Oracle, the_world_does_what_the_kernel_does_packet_for_packet) {
  auto wire = HeldWire::create();
  if (!wire) GTEST_SKIP() << "no TUN device to be had: " << to_string(wire.error());
  hunt(
      number("TWINWIRE_ORACLE_SCRIPTS", 2000), Tempo::as_drawn,
      [&](const Script& script) { return run_on_wire(script, **wire); }, run_in_world);
}

TEST_F(Oracle, the_world_does_what_the_kernel_does_over_loopback) {
  hunt(number("TWINWIRE_ORACLE_SCRIPTS", 500), Tempo::settled, run_on_loopback, run_in_world);
}

TEST_F(Oracle, the_ring_does_what_the_kernel_does_over_loopback) {
  hunt(number("TWINWIRE_ORACLE_SCRIPTS", 100), Tempo::settled, run_on_loopback,
       [](const Script& script) { return run_on_ring(script).value(); });
}

}  // namespace
}  // namespace twinwire::oracle
