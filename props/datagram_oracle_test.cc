// SPDX-License-Identifier: Apache-2.0
// The differential oracle for datagrams; docs/oracle.md.
// ctest: no_tsan
#include <gtest/gtest.h>

#include "props/oracle/datagram_runner.h"
#include "props/oracle/oracle_hunt.h"

namespace twinwire::oracle {
namespace {

class DatagramOracle : public OracleTest {};

TEST_F(DatagramOracle, the_world_does_what_the_kernel_does_packet_for_packet) {
  auto wire = HeldWire::create();
  if (!wire) GTEST_SKIP() << "no TUN device to be had: " << to_string(wire.error());
  hunt_any(
      2000, false, [](std::uint64_t seed) { return datagram_script_of(seed, false); },
      [&](const DatagramScript& script) { return run_datagrams_on_wire(script, **wire); },
      run_datagrams_in_world);
}

TEST_F(DatagramOracle, the_world_does_what_the_kernel_does_over_every_address_of_one_host) {
  hunt_any(
      2000, true, [](std::uint64_t seed) { return datagram_script_of(seed, true); },
      run_datagrams_on_loopback, run_datagrams_in_world);
}

TEST_F(DatagramOracle, the_ring_does_what_the_kernel_does_over_every_address_of_one_host) {
  hunt_any(
      200, true, [](std::uint64_t seed) { return datagram_script_of(seed, true); },
      run_datagrams_on_loopback, run_datagrams_on_ring);
}

}  // namespace
}  // namespace twinwire::oracle
