// SPDX-License-Identifier: Apache-2.0
// Every law, over seeds: each scenario under swarms of faults, for each transport.
// ctest: timeout=1500
#include <gtest/gtest.h>

#include "props/laws/property.h"

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
  for (std::size_t transport = 0; transport < transport_count; ++transport)
    for (const auto& [scenario, seeds] : {std::pair<std::string_view, int>{"traffic", 3000},
                                          {"strict_reader", 5000},
                                          {"accepting", 3000},
                                          {"limits", 1000},
                                          {"farewell", 1000},
                                          {"unread", 300},
                                          {"impostors", 100},
                                          {"ping_pong", 200}})
      all.push_back({scenario, transport, seeds});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Swarm, Laws, testing::ValuesIn(cells()), [](const auto& instance) {
  return std::string(transport_names()[instance.param.transport]) + "_" +
         std::string(instance.param.scenario);
});

}  // namespace
}  // namespace twinwire::laws
