// SPDX-License-Identifier: Apache-2.0
// The differential oracle for ports and addresses: listeners, and those who dial; docs/oracle.md.
// ctest: no_tsan
#include <gtest/gtest.h>

#include "props/oracle/oracle_hunt.h"
#include "props/oracle/port_script.h"

namespace twinwire::oracle {
namespace {

class PortOracle : public OracleTest {};

TEST_F(PortOracle, the_world_does_what_the_kernel_does) {
  hunt_any(1000, true, port_script_of, run_ports_on_kernel, run_ports_in_world);
}

TEST_F(PortOracle, the_ring_does_what_the_kernel_does) {
  hunt_any(100, true, port_script_of, run_ports_on_kernel, run_ports_on_ring);
}

}  // namespace
}  // namespace twinwire::oracle
