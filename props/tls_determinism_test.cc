// SPDX-License-Identifier: Apache-2.0
// TLS in the World is the same to the byte: whatever ran before, in whichever order, on however many threads.
// ctest: timeout=900
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

#include "props/cli_process.h"
#include "props/laws/run_in_world.h"

namespace twinwire::laws {
namespace {

constexpr std::uint64_t seeds = 150;

std::size_t tls() {
  constexpr auto names = transport_names();
  return static_cast<std::size_t>(std::find(names.begin(), names.end(), "tls") - names.begin());
}

// Every byte that a reader's kernel got is in the hash, and when.
std::uint64_t hash_of(std::string_view scenario, std::uint64_t seed, StackPool& stacks) {
  static const Registry registry = built_in_scenarios();
  WorldRun run;
  run.scenario = registry.find(scenario);
  run.transport = tls();
  run.options.seed = seed;
  run.options.faults = sim::FaultPlan::swarm(seed);
  const Verdict verdict = run_in_world(run, stacks);
  EXPECT_EQ(verdict.failure_key(), "pass") << scenario << " " << seed << ": " << verdict.detail;
  return verdict.report.hash;
}

std::vector<std::uint64_t> forward(std::string_view scenario) {
  StackPool stacks;
  std::vector<std::uint64_t> hashes;
  for (std::uint64_t seed = 0; seed < seeds; ++seed)
    hashes.push_back(hash_of(scenario, seed, stacks));
  return hashes;
}

class TlsDeterminism : public testing::TestWithParam<std::string_view> {};

TEST_P(TlsDeterminism, reverse_order_with_a_noisy_heap_changes_no_byte) {
  const auto expected = forward(GetParam());
  StackPool stacks;
  std::vector<std::unique_ptr<char[]>> noise;
  for (std::uint64_t seed = seeds; seed-- > 0;) {
    for (std::uint64_t i = 0; i < 20; ++i)
      noise.emplace_back(new char[1 + (seed * 37 + i * 911) % 5000]);
    if (noise.size() > 200) noise.erase(noise.begin(), noise.begin() + 100);
    EXPECT_EQ(hash_of(GetParam(), seed, stacks), expected[seed]) << "seed " << seed;
  }
}

TEST_P(TlsDeterminism, seeds_that_take_turns_change_no_byte) {
  const auto expected = forward(GetParam());
  StackPool stacks;
  for (int round = 0; round < 2; ++round)
    for (std::uint64_t seed = 0; seed + 1 < seeds; seed += 2)
      for (const std::uint64_t other : {seed, seed + 1, seed})
        EXPECT_EQ(hash_of(GetParam(), other, stacks), expected[other]) << "seed " << other;
}

TEST_P(TlsDeterminism, worlds_on_four_threads_change_no_byte) {
  const auto expected = forward(GetParam());
  std::vector<std::uint64_t> hashes(seeds);
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      StackPool stacks;
      for (std::uint64_t seed = t; seed < seeds; seed += 4)
        hashes[seed] = hash_of(GetParam(), seed, stacks);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(hashes, expected);
}

INSTANTIATE_TEST_SUITE_P(Scenarios, TlsDeterminism, testing::Values("traffic", "farewell"),
                         [](const auto& instance) { return std::string(instance.param); });

// The lines "<seed> <hash>" of a hunt in a process of its own.
std::string hashes_of_a_process(
    const std::vector<std::pair<std::string, std::string>>& environment = {}) {
  const props::TemporaryFolder folder;
  const auto hunt =
      props::run_tool_in(folder.path(), props::tool_path(),
                         "hunt --transport tls --seeds 150 --jobs 1 --hashes", environment);
  EXPECT_EQ(hunt.exit_code, 0) << hunt.out << hunt.err;
  std::string hashes;
  for (const std::string& line : props::lines_with(hunt.out, " "))
    if (line.find_first_not_of("0123456789abcdef ") == std::string::npos) hashes += line + "\n";
  EXPECT_EQ(std::count(hashes.begin(), hashes.end(), '\n'), 150) << hunt.out;
  return hashes;
}

TEST(TlsDeterminismProcesses, a_second_process_and_another_processor_change_no_byte) {
  const std::string expected = hashes_of_a_process();
  EXPECT_EQ(hashes_of_a_process(), expected);
  // Without the processor's own instructions for AES and the rest.
  EXPECT_EQ(hashes_of_a_process({{"GNUTLS_CPUID_OVERRIDE", "0x1"}}), expected);
}

}  // namespace
}  // namespace twinwire::laws
