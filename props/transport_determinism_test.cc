// SPDX-License-Identifier: Apache-2.0
// Every transport in the World is the same to the byte: whatever ran before, in whichever order, in turns with fifty
// other worlds, on however many threads, in whichever process, whatever the environment says.
//
// TWINWIRE_SEEDS=1000 in the environment runs so many seeds for each transport; without it a few, so that ctest is soon
// done.
// ctest: timeout=900
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "props/cli_process.h"
#include "props/laws/run_in_world.h"
#include "props/seed_count.h"

namespace twinwire::laws {
namespace {

std::uint64_t seeds() {
  static const std::uint64_t count = [] {
    const char* text = std::getenv("TWINWIRE_SEEDS");
    return text != nullptr ? std::strtoull(text, nullptr, 10) : props::seed_count(60, 10);
  }();
  return count;
}

struct Pairing {
  std::size_t transport;
  std::string_view scenario;

  friend auto operator<=>(const Pairing&, const Pairing&) = default;
  friend void PrintTo(const Pairing& cell, std::ostream* out) { *out << cell.scenario; }
};

// Every byte that a reader's kernel got is in the hash, and when.
std::uint64_t hash_of(const Pairing& cell, std::uint64_t seed, StackPool& stacks,
                      sim::Pause* pause = nullptr) {
  static const Registry registry = built_in_scenarios();
  WorldRun run;
  run.scenario = registry.find(cell.scenario);
  run.transport = cell.transport;
  run.options.seed = seed;
  run.options.faults = sim::FaultPlan::swarm(seed);
  run.options.pause = pause;
  // Whether the laws hold is laws_prop's to say.
  return run_in_world(run, stacks).report.hash;
}

using Hashes = std::vector<std::uint64_t>;

const Hashes& forward(const Pairing& cell) {
  static std::map<Pairing, Hashes> known;
  Hashes& hashes = known[cell];
  StackPool stacks;
  for (std::uint64_t seed = hashes.size(); seed < seeds(); ++seed)
    hashes.push_back(hash_of(cell, seed, stacks));
  return hashes;
}

class Determinism : public testing::TestWithParam<Pairing> {};

TEST_P(Determinism, a_second_run_changes_no_byte) {
  StackPool stacks;
  for (std::uint64_t seed = 0; seed < seeds(); ++seed)
    EXPECT_EQ(hash_of(GetParam(), seed, stacks), forward(GetParam())[seed]) << "seed " << seed;
}

TEST_P(Determinism, reverse_order_with_a_noisy_heap_changes_no_byte) {
  const Hashes& expected = forward(GetParam());
  StackPool stacks;
  std::vector<std::unique_ptr<char[]>> noise;
  for (std::uint64_t seed = seeds(); seed-- > 0;) {
    for (std::uint64_t i = 0; i < 20; ++i)
      noise.emplace_back(new char[1 + (seed * 37 + i * 911) % 5000]);
    if (noise.size() > 200) noise.erase(noise.begin(), noise.begin() + 100);
    EXPECT_EQ(hash_of(GetParam(), seed, stacks), expected[seed]) << "seed " << seed;
  }
}

// The scheduler that hands the thread from world to world. It has no time: nobody in it waits.
class Turns final : public Host, public sim::Pause {
 public:
  TimePoint now() noexcept override { return {}; }
  bool turn(TimePoint, bool idle) override { return !idle; }
  void pause() override {
    ++pauses;
    scheduler.yield();
  }

  StackPool stacks;
  Scheduler scheduler{*this, stacks, {}};
  std::uint64_t pauses = 0;
};

// A world is left in the middle of handshakes, batches and closes, and fifty others run before it goes on. Whatever the
// libraries keep between their calls, on the thread or in the process, would go to the wrong one.
TEST_P(Determinism, fifty_worlds_that_take_turns_on_one_thread_change_no_byte) {
  const Hashes& expected = forward(GetParam());
  Hashes hashes(seeds());
  Turns turns;
  std::uint64_t next = 0;
  {
    Scope root(turns.scheduler);
    for (int lane = 0; lane < 50; ++lane)
      root.spawn("world", [&] {
        StackPool stacks;
        while (next < seeds()) {
          const std::uint64_t seed = next++;
          hashes[seed] = hash_of(GetParam(), seed, stacks, &turns);
        }
      });
    ASSERT_EQ(turns.scheduler.run(), Scheduler::Outcome::finished);
    root.rethrow_failure();
  }
  EXPECT_GT(turns.pauses, 5 * seeds()) << "they hardly took turns";
  EXPECT_EQ(hashes, expected);
}

TEST_P(Determinism, worlds_on_four_threads_change_no_byte) {
  const Hashes& expected = forward(GetParam());
  Hashes hashes(seeds());
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      StackPool stacks;
      for (std::uint64_t seed = t; seed < seeds(); seed += 4)
        hashes[seed] = hash_of(GetParam(), seed, stacks);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(hashes, expected);
}

std::vector<Pairing> pairings() {
  std::vector<Pairing> all;
  for (std::size_t transport = 0; transport < transport_count; ++transport)
    for (const std::string_view scenario : {"traffic", "farewell"})
      all.push_back({transport, scenario});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Each, Determinism, testing::ValuesIn(pairings()),
                         [](const auto& instance) {
                           return std::string(transport_names()[instance.param.transport]) + "_" +
                                  std::string(instance.param.scenario);
                         });

using Environment = std::vector<std::pair<std::string, std::string>>;

class DeterminismProcesses : public testing::TestWithParam<std::size_t> {
 protected:
  // The lines "<seed> <hash>" of a hunt in a process of its own.
  std::string hashes_of_a_process(const Environment& environment = {}) {
    const auto hunt =
        props::run_tool_in(folder_.path(), props::tool_path(),
                           "hunt --transport " + std::string(transport_names()[GetParam()]) +
                               " --seeds " + std::to_string(seeds()) + " --jobs 1 --hashes",
                           environment);
    EXPECT_EQ(hunt.exit_code, 0) << hunt.out << hunt.err;
    std::string hashes;
    for (const std::string& line : props::lines_with(hunt.out, " "))
      if (line.find_first_not_of("0123456789abcdef ") == std::string::npos) hashes += line + "\n";
    EXPECT_EQ(static_cast<std::uint64_t>(std::count(hashes.begin(), hashes.end(), '\n')), seeds())
        << hunt.out;
    return hashes;
  }

  props::TemporaryFolder folder_;
};

TEST_P(DeterminismProcesses, a_second_process_and_another_environment_change_no_byte) {
  const std::string expected = hashes_of_a_process();
  EXPECT_EQ(hashes_of_a_process(), expected);
  // Without the processor's own instructions for AES and the rest.
  EXPECT_EQ(hashes_of_a_process({{"GNUTLS_CPUID_OVERRIDE", "0x1"}}), expected);
  // What else GnuTLS and nettle read. docs/tls.md lists it.
  const std::string key_log = (folder_.path() / "keys").string();
  const std::string policy = (folder_.path() / "policy").string();
  props::write_file(policy, "[overrides]\ntls-disabled-cipher = AES-128-GCM\n");
  EXPECT_EQ(hashes_of_a_process({{"SSLKEYLOGFILE", key_log},
                                 {"GNUTLS_SYSTEM_PRIORITY_FILE", policy},
                                 {"GNUTLS_DEBUG_LEVEL", "1"},
                                 {"GNUTLS_NO_IMPLICIT_INIT", "0"},
                                 {"NETTLE_FAT_OVERRIDE", "none"}}),
            expected);
  EXPECT_FALSE(std::filesystem::exists(key_log));
}

INSTANTIATE_TEST_SUITE_P(Each, DeterminismProcesses,
                         testing::Range(std::size_t{0}, transport_count), [](const auto& instance) {
                           return std::string(transport_names()[instance.param]);
                         });

}  // namespace
}  // namespace twinwire::laws
