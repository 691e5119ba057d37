// SPDX-License-Identifier: Apache-2.0
// Every fault in every place of one connection: one case in so many here, all of them by `twinwire exhaust`.
// ctest: timeout=900 no_tsan
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "props/exhaustive/faults_mode.h"
#include "props/exhaustive/mode.h"
#include "props/seed_count.h"

namespace twinwire::exhaustive {
namespace {

std::size_t transport_of(std::string_view name) {
  constexpr auto names = laws::transport_names();
  return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
}

const laws::Registry& registry() {
  static const laws::Registry all = laws::built_in_scenarios();
  return all;
}

struct Share {
  const char* transport;
  std::size_t cases;  // that are run of each kind, about
  friend void PrintTo(const Share& share, std::ostream* out) { *out << share.transport; }
};

class EveryPlace : public testing::TestWithParam<Share> {};

TEST_P(EveryPlace, holds_and_bites_where_it_is_tried) {
  StackPool stacks;
  const std::size_t transport = transport_of(GetParam().transport);
  const std::size_t wanted = props::seed_count(GetParam().cases, 4);
  std::size_t modes_run = 0;
  for (const auto plan_of : {&plan_stream, &plan_datagram}) {
    const Plan plan = plan_of(registry(), transport, stacks);
    ASSERT_EQ(plan.complaint, "");
    if (plan.cases.empty()) continue;
    ++modes_run;
    std::vector<std::size_t> total(plan.kinds.size());
    for (const Case& one : plan.cases) ++total[one.kind];
    std::vector<std::size_t> seen(plan.kinds.size());
    for (std::size_t i = 0; i < plan.cases.size(); ++i) {
      const Case& one = plan.cases[i];
      // Strides that differ from kind to kind meet bytes that differ, too.
      const std::size_t every = std::max<std::size_t>(1, total[one.kind] / wanted + one.kind);
      if (seen[one.kind]++ % every != 0) continue;
      const Judgement judgement =
          judge(plan, one, laws::run_in_world(run_of(registry(), transport, plan, one), stacks));
      EXPECT_EQ(judgement.key, "pass")
          << plan.kinds[one.kind].name << ", case " << i << ": " << judgement.detail;
    }
  }
  EXPECT_EQ(modes_run, 1U);
}

INSTANTIATE_TEST_SUITE_P(All, EveryPlace,
                         testing::Values(Share{"tcp", 600}, Share{"tls", 60}, Share{"ws", 600},
                                         Share{"wss", 60}, Share{"quic", 150}),
                         [](const auto& instance) {
                           return std::string(instance.param.transport);
                         });

// Over TCP what travels is known: three messages of 256, 257 and 1,500 bytes each way, and the end behind them.
TEST(EveryPlaceOfTcp, is_every_byte_of_three_messages_and_the_end) {
  StackPool stacks;
  const Plan plan = plan_stream(registry(), transport_of("tcp"), stacks);
  constexpr std::uint64_t bytes = 256 + 257 + 1500;
  for (const sim::Site site : {sim::Site::reset, sim::Site::reset_one_side, sim::Site::early_fin,
                               sim::Site::silent_loss, sim::Site::clog}) {
    std::set<std::tuple<std::size_t, EntityId, std::uint64_t>> places;
    std::set<std::pair<std::size_t, EntityId>> directions;
    for (const Case& one : plan.cases) {
      if (one.edits.empty() || one.edits.back().site != site) continue;
      const sim::Decision& fault = one.edits.back();
      const std::uint64_t place = sim::stands_at_byte(site) ? fault.choice - 1 : fault.occurrence;
      EXPECT_LE(place, bytes);
      places.emplace(one.base, fault.entity, place);
      directions.emplace(one.base, fault.entity);
    }
    EXPECT_EQ(directions.size(), 6U) << sim::name(site);  // two in each of three benign worlds
    EXPECT_EQ(places.size(), 6 * (bytes + 1)) << sim::name(site);
  }
}

TEST(Judged, a_fault_that_changes_nothing_fails_its_case) {
  StackPool stacks;
  const std::size_t tcp = transport_of("tcp");
  Plan plan = plan_stream(registry(), tcp, stacks);
  Case nowhere = plan.cases.back();
  nowhere.edits.back().entity ^= 1;  // a connection that there is not
  const Judgement judgement =
      judge(plan, nowhere, laws::run_in_world(run_of(registry(), tcp, plan, nowhere), stacks));
  EXPECT_EQ(judgement.key, "no_bite");
  EXPECT_FALSE(judgement.bit);
}

// `harmless` demands that all arrives: under a fault that a connection dies of it speaks up.
TEST(Judged, a_connection_that_dies_of_a_harmless_fault_fails_its_case) {
  StackPool stacks;
  const std::size_t tcp = transport_of("tcp");
  const Plan plan = plan_stream(registry(), tcp, stacks);
  const auto reset = std::find_if(plan.cases.begin(), plan.cases.end(), [](const Case& one) {
    return !one.edits.empty() && one.edits.back().site == sim::Site::reset;
  });
  ASSERT_NE(reset, plan.cases.end());
  Case strict = *reset;
  EXPECT_TRUE(judge(plan, strict, laws::run_in_world(run_of(registry(), tcp, plan, strict), stacks))
                  .passed());
  ++strict.base;
  EXPECT_EQ(
      judge(plan, strict, laws::run_in_world(run_of(registry(), tcp, plan, strict), stacks)).key,
      "law_broken:close_delivers");
}

}  // namespace
}  // namespace twinwire::exhaustive
