// SPDX-License-Identifier: Apache-2.0
// The scenarios of the swarm over real sockets: the same plans, the same laws, the kernel's own schedule.
// It waits nearly all of the time, so it may run beside a test that must not be disturbed.
// ctest: waits
#include <gtest/gtest.h>

#include "props/laws/run_on_ring.h"
#include "props/seed_count.h"
#include "real/probe.h"

namespace twinwire::laws {
namespace {

class RingTraffic : public testing::TestWithParam<std::string_view> {};

TEST_P(RingTraffic, keeps_the_laws_over_loopback) {
  const Registry registry = built_in_scenarios();
  auto ring = real::Ring::create({});
  ASSERT_TRUE(ring.has_value()) << real::explain_no_ring(ring.error());
  for (std::size_t transport = 0; transport < transport_count; ++transport)
    for (std::uint64_t seed = 1; seed <= props::seed_count(25, 4); ++seed) {
      const RingVerdict verdict =
          run_on_ring(*registry.find(GetParam()), transport, seed, {}, **ring);
      ASSERT_EQ(verdict.law, "") << "seed " << seed << ": " << verdict.detail;
    }
}

// strict_reader and accepting wait out long time-outs, in real time: the World runs those.
INSTANTIATE_TEST_SUITE_P(Scenarios, RingTraffic,
                         testing::Values("traffic", "limits", "ping_pong", "sharing"),
                         [](const auto& instance) { return std::string(instance.param); });

}  // namespace
}  // namespace twinwire::laws
