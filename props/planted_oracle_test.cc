// SPDX-License-Identifier: Apache-2.0
// The oracle can fail: whatever the World is made to say wrongly (sim/lie.h), some script shows.
// ctest: no_asan no_tsan
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>

#include "props/oracle/datagram_runner.h"
#include "props/oracle/generator.h"
#include "props/oracle/hunt.h"
#include "props/oracle/kernel_runner.h"
#include "props/oracle/port_script.h"
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
  void SetUp() override {
    if (auto entered = enter_private_network(); !entered)
      GTEST_SKIP() << "no network namespace to be had: " << to_string(entered.error());
    auto made = HeldWire::create();
    if (!made) GTEST_SKIP() << "no TUN device to be had: " << to_string(made.error());
    wire_ = std::move(*made);
    sim::lie_told = GetParam().lie;
  }
  void TearDown() override { sim::lie_told = sim::Lie::none; }

  // `look(seed)`: what a script shows, as text.
  template <class Look>
  void expect_caught(const Look& look) {
    for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
      const std::optional<std::string> finding = look(seed);
      if (!finding) continue;
      std::printf("%s: seed %d, %s\n", GetParam().name.data(), static_cast<int>(seed),
                  finding->c_str());
      return;
    }
    ADD_FAILURE() << GetParam().what << ": 3,000 scripts did not show it";
  }

  std::unique_ptr<HeldWire> wire_;
  Coverage coverage_;
};
class PlantedDatagramLies : public PlantedLies {};
class PlantedAddressLies : public PlantedLies {};
class PlantedPortLies : public PlantedLies {};

TEST_P(PlantedLies, are_caught) {
  expect_caught([&](std::uint64_t seed) -> std::optional<std::string> {
    const auto finding = examine(
        script_of(seed), Tempo::as_drawn,
        [&](const Script& script) { return run_on_wire(script, *wire_); }, run_in_world, coverage_);
    if (!finding) return std::nullopt;
    return to_text(*finding);
  });
}

TEST_P(PlantedDatagramLies, are_caught) {
  expect_caught([&](std::uint64_t seed) {
    return examine_any(
        datagram_script_of(seed, false), false,
        [&](const DatagramScript& script) { return run_datagrams_on_wire(script, *wire_); },
        run_datagrams_in_world, coverage_);
  });
}

TEST_P(PlantedAddressLies, are_caught) {
  expect_caught([&](std::uint64_t seed) {
    return examine_any(datagram_script_of(seed, true), true, run_datagrams_on_loopback,
                       run_datagrams_in_world, coverage_);
  });
}

TEST_P(PlantedPortLies, are_caught) {
  expect_caught([&](std::uint64_t seed) {
    return examine_any(port_script_of(seed), true, run_ports_on_kernel, run_ports_in_world,
                       coverage_);
  });
}

#define TWINWIRE_LIE_ENTRY(name, what) {sim::Lie::name, #name, what},
constexpr PlantedLie lies[] = {TWINWIRE_LIES(TWINWIRE_LIE_ENTRY)};
constexpr PlantedLie datagram_lies[] = {TWINWIRE_DATAGRAM_LIES(TWINWIRE_LIE_ENTRY)};
constexpr PlantedLie address_lies[] = {TWINWIRE_ADDRESS_LIES(TWINWIRE_LIE_ENTRY)};
constexpr PlantedLie port_lies[] = {TWINWIRE_PORT_LIES(TWINWIRE_LIE_ENTRY)};
#undef TWINWIRE_LIE_ENTRY

std::string name_of(const testing::TestParamInfo<PlantedLie>& instance) {
  return std::string(instance.param.name);
}

INSTANTIATE_TEST_SUITE_P(World, PlantedLies, testing::ValuesIn(lies), name_of);
INSTANTIATE_TEST_SUITE_P(World, PlantedDatagramLies, testing::ValuesIn(datagram_lies), name_of);
INSTANTIATE_TEST_SUITE_P(World, PlantedPortLies, testing::ValuesIn(port_lies), name_of);
INSTANTIATE_TEST_SUITE_P(World, PlantedAddressLies, testing::ValuesIn(address_lies), name_of);

}  // namespace
}  // namespace twinwire::oracle
