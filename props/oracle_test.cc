// SPDX-License-Identifier: Apache-2.0
// The differential oracle: one script of socket calls in the World, on the kernel and on the Ring; docs/oracle.md.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <string>

#include "props/oracle/generator.h"
#include "props/oracle/kernel_runner.h"
#include "props/oracle/oracle_hunt.h"
#include "props/oracle/seam_runner.h"

namespace twinwire::oracle {
namespace {

void hunt_streams(std::uint64_t scripts, Tempo tempo, const Runner& truth, const Runner& claimed) {
  hunt(scripts, [&](std::uint64_t seed, Coverage& coverage) -> std::optional<std::string> {
    Script script = script_of(seed);
    // The wire carries IPv4.
    script.ipv6 = tempo == Tempo::settled && seed % 2 == 1;
    const auto finding = examine(script, tempo, truth, claimed, coverage);
    if (!finding) return std::nullopt;
    return to_text(*finding);
  });
}

class Oracle : public OracleTest {};

TEST_F(Oracle, the_world_does_what_the_kernel_does_packet_for_packet) {
  auto wire = HeldWire::create();
  if (!wire) GTEST_SKIP() << "no TUN device to be had: " << to_string(wire.error());
  hunt_streams(
      2000, Tempo::as_drawn, [&](const Script& script) { return run_on_wire(script, **wire); },
      run_in_world);
}

TEST_F(Oracle, the_world_does_what_the_kernel_does_over_loopback) {
  hunt_streams(500, Tempo::settled, run_on_loopback, run_in_world);
}

TEST_F(Oracle, the_ring_does_what_the_kernel_does_over_loopback) {
  hunt_streams(100, Tempo::settled, run_on_loopback,
               [](const Script& script) { return run_on_ring(script).value(); });
}

}  // namespace
}  // namespace twinwire::oracle
