// SPDX-License-Identifier: Apache-2.0
// The one conformance body, over every transport and both worlds.
// ctest: waits no_tsan
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "props/conformance/catalogue.h"
#include "props/laws/run_in_world.h"
#include "props/laws/run_on_ring.h"
#include "props/seed_count.h"
#include "real/probe.h"

namespace twinwire::props {
namespace {

enum class Where { world, ring };

struct Cell {
  Where where;
  std::size_t transport;
  Case test;
};

std::vector<Cell> matrix() {
  std::vector<Cell> cells;
  std::size_t transport = 0;
  const auto add = [&]<class T>(std::type_identity<T>) {
    for (const Case& test : cases_of<T>())
      for (const Where where : {Where::world, Where::ring})
        cells.push_back({where, transport, test});
    ++transport;
  };
  [&]<class... T>(std::type_identity<std::tuple<T...>>) {
    (add(std::type_identity<T>{}), ...);
  }(std::type_identity<laws::Transports>{});
  return cells;
}

laws::ScenarioEntry entry_of(const Cell& cell) {
  laws::ScenarioEntry entry{cell.test.name, "a conformance case", {}, nullptr};
  entry.bodies[cell.transport] = cell.test.body;
  return entry;
}

class Conformance : public testing::TestWithParam<Cell> {};

TEST_P(Conformance, holds) {
  const Cell& cell = GetParam();
  const laws::ScenarioEntry entry = entry_of(cell);
  if (cell.where == Where::world) {
    StackPool stacks;
    laws::WorldRun run;
    run.scenario = &entry;
    run.transport = cell.transport;
    for (run.options.seed = 1; run.options.seed <= seed_count(20, 3); ++run.options.seed) {
      const laws::Verdict verdict = laws::run_in_world(run, stacks);
      ASSERT_EQ(verdict.failure_key(), "pass")
          << "seed " << run.options.seed << ": " << verdict.detail;
    }
    return;
  }
  auto ring = real::Ring::create({});
  ASSERT_TRUE(ring.has_value()) << real::explain_no_ring(ring.error());
  const laws::RingVerdict verdict = laws::run_on_ring(entry, cell.transport, 1, {}, **ring);
  EXPECT_EQ(verdict.law, "") << verdict.detail;
}

INSTANTIATE_TEST_SUITE_P(Matrix, Conformance, testing::ValuesIn(matrix()),
                         [](const auto& instance) {
                           const Cell& cell = instance.param;
                           return std::string(laws::transport_names()[cell.transport]) +
                                  (cell.where == Where::world ? "_world_" : "_ring_") +
                                  std::string(cell.test.name);
                         });

// Were the cases green because nothing happened? What the kernel really did to us says no.
TEST(ConformanceCounters, real_short_writes_and_resets_happened) {
  real::Counters totals;
  for (const Cell& cell : matrix()) {
    if (cell.where != Where::ring) continue;
    auto ring = real::Ring::create({});
    ASSERT_TRUE(ring.has_value()) << real::explain_no_ring(ring.error());
    const laws::ScenarioEntry entry = entry_of(cell);
    EXPECT_EQ(laws::run_on_ring(entry, cell.transport, 2, {}, **ring).law, "");
    totals.short_writes += (*ring)->counters().short_writes;
    totals.resets_met += (*ring)->counters().resets_met;
    totals.resets_sent += (*ring)->counters().resets_sent;
    totals.cancels += (*ring)->counters().cancels;
    if (totals.short_writes != 0 && totals.resets_met != 0 && totals.resets_sent != 0 &&
        totals.cancels != 0)
      break;
  }
  std::printf("on the ring: %llu short writes, %llu resets met, %llu resets sent, %llu cancels\n",
              static_cast<unsigned long long>(totals.short_writes),
              static_cast<unsigned long long>(totals.resets_met),
              static_cast<unsigned long long>(totals.resets_sent),
              static_cast<unsigned long long>(totals.cancels));
  EXPECT_GT(totals.short_writes, 0U);
  EXPECT_GT(totals.resets_met, 0U);
  EXPECT_GT(totals.resets_sent, 0U);
  EXPECT_GT(totals.cancels, 0U);
}

}  // namespace
}  // namespace twinwire::props
