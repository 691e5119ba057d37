// SPDX-License-Identifier: Apache-2.0
// run, replay, trace and diff: exit codes, --verify, and what a capsule's replay says about the capsule.
// ctest: no_tsan
#include "cli/capsule.h"
#include "props/cli_test_tool.h"

namespace twinwire::props {
namespace {

std::filesystem::path only_capsule(const std::filesystem::path& folder) {
  std::filesystem::path found;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "capsules"))
    found = entry.path();
  return found;
}

TEST(CliRun, exit_codes_tell_the_outcomes_apart) {
  const TemporaryFolder folder;
  const std::pair<const char*, int> expected[] = {
      {"calm", 0}, {"lawless", 1}, {"deadlocked", 3}, {"crashing", 4}, {"hanging", 3}};
  for (const auto& [scenario, code] : expected) {
    const Ended ended = run_test_tool(
        folder.path(), std::string("run --seed 7 --hang-after 300ms --scenario ") + scenario);
    EXPECT_EQ(ended.exit_code, code) << scenario << "\n" << ended.out << ended.err;
    EXPECT_EQ(lines_with(ended.out, " replay ").size(), code == 0 ? 0U : 2U) << ended.out;
  }
}

TEST(CliRun, every_knob_is_echoed) {
  const TemporaryFolder folder;
  const Ended ended = run_test_tool(
      folder.path(), "run --seed 7 --scenario calm --fault short_write=0.25:10 --set depth=9");
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  for (const char* echo :
       {"seed       7", "scenario   calm", "transport  tcp", "short_write=0.25:10", "depth=9"})
    EXPECT_NE(ended.out.find(echo), std::string::npos) << echo << "\n" << ended.out;
}

TEST(CliRun, the_lines_after_a_failure_hold_every_option) {
  const TemporaryFolder folder;
  const Ended ended =
      run_test_tool(folder.path(),
                    "run --seed 7 --scenario lawless --swarm --fault reset=0.5:10 --capsules kept");
  const auto lines = lines_with(ended.out, " replay ");
  ASSERT_EQ(lines.size(), 2U) << ended.out;
  EXPECT_NE(
      lines[0].find(" replay 7 --scenario lawless --transport tcp --swarm --fault reset=0.5:10"),
      std::string::npos)
      << lines[0];
  EXPECT_NE(lines[1].find(" replay kept/"), std::string::npos) << lines[1];
}

TEST(CliReplay, verify_of_a_steady_run_finds_no_difference) {
  const TemporaryFolder folder;
  const Ended ended = run_test_tool(folder.path(), "replay 8 --scenario calm --verify");
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("equal in each"), std::string::npos) << ended.out;
}

TEST(CliReplay, verify_stops_at_the_first_step_where_two_runs_differ) {
  const TemporaryFolder folder;
  const Ended ended = run_test_tool(folder.path(), "replay 7 --scenario unsteady --verify");
  EXPECT_EQ(ended.exit_code, 5) << ended.out << ended.err;
  const std::size_t first = ended.out.find("run number 1");
  const std::size_t second = ended.out.find("run number 2");
  ASSERT_NE(first, std::string::npos) << ended.out;
  ASSERT_NE(second, std::string::npos) << ended.out;
  const std::size_t heading = ended.out.find("the first step where they differ");
  EXPECT_LT(heading, first) << ended.out;
  EXPECT_LT(first, second) << ended.out;
}

TEST(CliReplay, a_capsule_gives_the_same_failure_and_the_same_hash) {
  const TemporaryFolder folder;
  const Ended run = run_test_tool(folder.path(), "run --seed 17 --scenario lawless");
  const cli::Capsule capsule = cli::load_capsule(only_capsule(folder.path()).string());
  ASSERT_TRUE(capsule.hash.has_value());
  for (const char* how : {"", " --as-decisions", " --verify"}) {
    const Ended replay =
        run_test_tool(folder.path(), "replay " + only_capsule(folder.path()).string() + how);
    EXPECT_EQ(replay.exit_code, 1) << how << replay.out << replay.err;
    EXPECT_EQ(replay.err, "") << how;
    const auto hash = lines_with(run.out, "hash  ");
    ASSERT_EQ(hash.size(), 1U);
    EXPECT_NE(replay.out.find(hash[0].substr(hash[0].size() - 16)), std::string::npos)
        << how << replay.out;
  }
}

TEST(CliReplay, a_hash_that_differs_in_the_same_build_is_nondeterminism) {
  const TemporaryFolder folder;
  (void)run_test_tool(folder.path(), "run --seed 17 --scenario lawless");
  cli::Capsule capsule = cli::load_capsule(only_capsule(folder.path()).string());
  *capsule.hash ^= 1;
  write_file(folder.path() / "changed", cli::encode(capsule));
  const Ended replay = run_test_tool(folder.path(), "replay changed");
  EXPECT_EQ(replay.exit_code, 5) << replay.out << replay.err;
}

TEST(CliReplay, a_capsule_of_another_build_warns_and_its_hash_is_not_compared) {
  const TemporaryFolder folder;
  (void)run_test_tool(folder.path(), "run --seed 17 --scenario lawless");
  cli::Capsule capsule = cli::load_capsule(only_capsule(folder.path()).string());
  *capsule.hash ^= 1;
  capsule.build ^= 1;
  write_file(folder.path() / "changed", cli::encode(capsule));
  const Ended replay = run_test_tool(folder.path(), "replay changed");
  EXPECT_EQ(replay.exit_code, 1) << replay.out << replay.err;
  EXPECT_NE(replay.err.find("another build"), std::string::npos) << replay.err;
}

TEST(CliReplay, a_capsule_whose_decisions_no_longer_occur_is_stale) {
  const TemporaryFolder folder;
  (void)run_test_tool(folder.path(), "run --seed 17 --scenario lawless");
  cli::Capsule capsule = cli::load_capsule(only_capsule(folder.path()).string());
  for (std::uint64_t i = 0; i < 20; ++i)
    capsule.decisions.push_back({sim::Site::short_write, 0xabcdef, i, 1});
  capsule.build ^= 1;
  write_file(folder.path() / "changed", cli::encode(capsule));
  for (const char* how : {"", " --as-decisions"}) {
    const Ended replay = run_test_tool(folder.path(), std::string("replay changed") + how);
    EXPECT_NE(replay.out.find("stale"), std::string::npos) << how << replay.out << replay.err;
  }
}

TEST(CliReplay, a_capsule_and_options_of_a_run_exclude_each_other) {
  const TemporaryFolder folder;
  (void)run_test_tool(folder.path(), "run --seed 17 --scenario lawless");
  expect_one_sentence(
      run_test_tool(folder.path(), "replay --no-faults " + only_capsule(folder.path()).string()), 2,
      "a capsule says itself what is run");
}

TEST(CliTrace, each_step_has_a_number_a_time_a_name_and_a_text) {
  const TemporaryFolder folder;
  const Ended ended = run_test_tool(folder.path(), "trace 8 --scenario calm");
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_NE(ended.out.find("1          0.000000 ms  main"), std::string::npos) << ended.out;
}

TEST(CliDiff, shows_where_two_seeds_part) {
  const TemporaryFolder folder;
  const Ended same = run_test_tool(folder.path(), "diff 8 8 --scenario calm");
  EXPECT_EQ(same.exit_code, 0);
  EXPECT_NE(same.out.find("no step differs"), std::string::npos) << same.out;
  const Ended parted = run_test_tool(folder.path(), "diff 7 8 --scenario unsteady");
  EXPECT_EQ(parted.exit_code, 0) << parted.err;
  EXPECT_NE(parted.out.find("they part here"), std::string::npos) << parted.out;
}

}  // namespace
}  // namespace twinwire::props
