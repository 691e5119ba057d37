// SPDX-License-Identifier: Apache-2.0
// The scenario of the bus over real sockets: a cluster in one process, clients over each transport, the same laws.
// It waits nearly all of the time, and has one thread.
// ctest: waits no_tsan
#include <gtest/gtest.h>

#include "props/laws/run_on_ring.h"
#include "real/probe.h"

namespace twinwire::laws {
namespace {

class RingBus : public testing::TestWithParam<std::size_t> {};

TEST_P(RingBus, keeps_the_laws_over_loopback) {
  const Registry registry = built_in_scenarios();
  auto ring = real::Ring::create({});
  ASSERT_TRUE(ring.has_value()) << real::explain_no_ring(ring.error());
  const std::uint64_t seed = 1 + GetParam();
  const RingVerdict verdict = run_on_ring(*registry.find("bus"), GetParam(), seed, {}, **ring);
  EXPECT_EQ(verdict.law, "") << "seed " << seed << ": " << verdict.detail;
}

INSTANTIATE_TEST_SUITE_P(Transports, RingBus, testing::Range<std::size_t>(0, transport_count),
                         [](const auto& instance) {
                           return std::string(transport_names()[instance.param]);
                         });

}  // namespace
}  // namespace twinwire::laws
