// SPDX-License-Identifier: Apache-2.0
// Every call is told to stop at each of its suspensions, and each allocation finds no memory: all laws hold. Here every
// case over TCP and WebSocket, and one in some where cryptography makes a case slow; `twinwire exhaust` runs all.
// ctest: slow no_asan no_tsan
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "props/exhaustive/operations_mode.h"
#include "props/exhaustive/sweep.h"

namespace twinwire::exhaustive {
namespace {

class ExhaustiveOperations : public testing::TestWithParam<std::size_t> {
 protected:
  static std::string_view transport() { return laws::transport_names()[GetParam()]; }
  static std::uint64_t every() {
    if (transport() == "quic") return 23;
    return transport() == "tls" || transport() == "wss" ? 7 : 1;
  }

  // What came of each outcome of the plan.
  static std::uint64_t count(const Plan& plan, const Sweep& all, std::string_view outcome) {
    const auto at = std::find(plan.outcomes.begin(), plan.outcomes.end(), outcome);
    EXPECT_NE(at, plan.outcomes.end());
    return all.outcomes[static_cast<std::size_t>(at - plan.outcomes.begin())];
  }

  const laws::Registry registry_ = laws::built_in_scenarios();
  StackPool stacks_;
};

TEST_P(ExhaustiveOperations, each_suspension_can_be_canceled_and_every_law_holds) {
  const Plan plan = plan_cancel(registry_, GetParam(), stacks_);
  ASSERT_EQ(plan.complaint, "");
  // Every call of the seam suspends somewhere, or nothing is said about it.
  for (const std::string_view call :
       {"client.dial", "client.send_batch", "client.read_message", "client.close", "server.accept",
        "server.send_batch", "server.read_message"})
    EXPECT_TRUE(std::any_of(plan.kinds.begin(), plan.kinds.end(),
                            [&](const Kind& kind) { return kind.name == call; }))
        << call << " never suspends";
  const Sweep all = sweep(registry_, GetParam(), plan, every(), stacks_);
  EXPECT_TRUE(all.broken.empty()) << all.first;
  // All three fates, or the run is blind to one: the call alone, its connection, neither.
  for (const std::string_view outcome : {"canceled", "dropped", "went on"})
    EXPECT_GT(count(plan, all, outcome), 0u) << outcome;
}

TEST_P(ExhaustiveOperations, each_allocation_can_fail_and_every_law_holds) {
  const Plan plan = plan_memory(registry_, GetParam(), stacks_);
  ASSERT_EQ(plan.complaint, "");
  const Sweep all = sweep(registry_, GetParam(), plan, every(), stacks_);
  EXPECT_TRUE(all.broken.empty()) << all.first;
  EXPECT_GT(count(plan, all, "dropped"), 0u);
  EXPECT_GT(count(plan, all, "went on"), 0u);
}

INSTANTIATE_TEST_SUITE_P(Over, ExhaustiveOperations,
                         testing::Range(std::size_t{0}, laws::transport_count),
                         [](const auto& instance) {
                           return std::string(laws::transport_names()[instance.param]);
                         });

}  // namespace
}  // namespace twinwire::exhaustive
