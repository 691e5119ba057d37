// SPDX-License-Identifier: Apache-2.0
// Every law, over seeds: each scenario under swarms of faults, for each transport.
// ctest: slow shards=2 timeout=1200 no_tsan
#include <gtest/gtest.h>

#include <algorithm>

#include "props/laws/property.h"
#include "props/seed_count.h"

namespace twinwire::laws {
namespace {

struct Cell {
  std::string_view scenario;
  std::size_t transport;
  int seeds;

  friend void PrintTo(const Cell& cell, std::ostream* out) {
    *out << cell.scenario << ", " << cell.seeds << " seeds";
  }
};

class Laws : public testing::TestWithParam<Cell> {};

TEST_P(Laws, hold_over_seeds) {
  EXPECT_TRUE(holds_over_seeds(GetParam().scenario, GetParam().transport, GetParam().seeds));
}

std::vector<Cell> cells() {
  std::vector<Cell> all;
  const Registry registry = built_in_scenarios();
  for (std::size_t transport = 0; transport < transport_count; ++transport) {
    // Every transport but the plain one costs several times as much a seed.
    const int share = transport_names()[transport] == "tcp" ? 1 : 4;
    for (const auto& [scenario, seeds] : {std::pair<std::string_view, int>{"traffic", 3000},
                                          {"strict_reader", 5000},
                                          {"accepting", 3000},
                                          {"limits", 1000},
                                          {"farewell", 1000},
                                          {"unread", 300},
                                          {"impostors", 100},
                                          {"recovery", 200},
                                          {"restarts", 400},
                                          {"operations", 100},
                                          {"sharing", 2000},
                                          {"handshake", 2000},
                                          {"bus", 200},
                                          {"bus_shards", 200},
                                          {"log", 400},
                                          {"ping_pong", 200}}) {
      if (registry.find(scenario)->bodies[transport] == nullptr) continue;
      all.push_back({scenario, transport, static_cast<int>(props::seed_count(seeds / share, 10))});
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Swarm, Laws, testing::ValuesIn(cells()), [](const auto& instance) {
  return std::string(transport_names()[instance.param.transport]) + "_" +
         std::string(instance.param.scenario);
});

}  // namespace
}  // namespace twinwire::laws
