// SPDX-License-Identifier: Apache-2.0
// The oracle can fail: whatever the World is made to say wrongly (sim/lie.h), some script shows.
// ctest: no_asan no_tsan
#include <gtest/gtest.h>

#include <string_view>

#include "props/oracle/generator.h"
#include "props/oracle/hunt.h"
#include "props/oracle/kernel_runner.h"
#include "props/oracle/seam_runner.h"
#include "sim/lie.h"

namespace twinwire::oracle {
namespace {

struct PlantedLie {
  sim::Lie lie;
  std::string_view name;
  std::string_view what;
};

void PrintTo(const PlantedLie& lie, std::ostream* out) { *out << lie.name; }

class PlantedLies : public testing::TestWithParam<PlantedLie> {
 protected:
  void TearDown() override { sim::lie_told = sim::Lie::none; }
};

TEST_P(PlantedLies, are_caught) {
  if (auto entered = enter_private_network(); !entered)
    GTEST_SKIP() << "no network namespace to be had: " << to_string(entered.error());
  auto wire = HeldWire::create();
  if (!wire) GTEST_SKIP() << "no TUN device to be had: " << to_string(wire.error());
  sim::lie_told = GetParam().lie;
  Coverage coverage;
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    const auto finding = examine(
        script_of(seed), Tempo::as_drawn,
        [&](const Script& script) { return run_on_wire(script, **wire); }, run_in_world, coverage);
    if (!finding) continue;
    std::printf("%s: seed %d, %s\n", GetParam().name.data(), static_cast<int>(seed),
                to_text(*finding).c_str());
    return;
  }
  ADD_FAILURE() << GetParam().what << ": 3,000 scripts did not show it";
}

constexpr PlantedLie lies[] = {
#define TWINWIRE_LIE_ENTRY(name, what) {sim::Lie::name, #name, what},
    TWINWIRE_LIES(TWINWIRE_LIE_ENTRY)
#undef TWINWIRE_LIE_ENTRY
};

INSTANTIATE_TEST_SUITE_P(World, PlantedLies, testing::ValuesIn(lies),
                         [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace twinwire::oracle
