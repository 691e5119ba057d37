// SPDX-License-Identifier: Apache-2.0
// hunt, with scenarios that crash, hang, deadlock and break laws on purpose: none of that stops it.
// ctest: timeout=300
#include <thread>

#include "props/cli_test_tool.h"

namespace twinwire::props {
namespace {

using namespace std::chrono_literals;

std::size_t capsules_in(const std::filesystem::path& folder) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".capsule") ++count;
  return count;
}

TEST(CliHunt, a_healthy_scenario_passes) {
  const TemporaryFolder folder;
  const Ended ended = run_test_tool(folder.path(), "hunt --scenario calm --seeds 300");
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("ran        300 seeds"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("no law was broken"), std::string::npos) << ended.out;
}

TEST(CliHunt, failures_are_told_apart_by_key_and_each_has_its_lowest_seed) {
  const TemporaryFolder folder;
  const Ended ended = run_test_tool(folder.path(), "hunt --scenario lawless --seeds 200");
  EXPECT_EQ(ended.exit_code, 1) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("2 kinds of failure"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("law_broken:even_sevens in 10 seeds, the lowest is seed 7\n"),
            std::string::npos)
      << ended.out;
  EXPECT_NE(ended.out.find("law_broken:odd_sevens in 10 seeds, the lowest is seed 17\n"),
            std::string::npos)
      << ended.out;
  EXPECT_EQ(capsules_in(folder.path() / "capsules"), 2U);
}

TEST(CliHunt, the_first_failure_does_not_depend_on_the_number_of_workers) {
  for (const char* jobs : {"1", "2", "5"}) {
    const TemporaryFolder folder;
    const Ended ended = run_test_tool(
        folder.path(),
        std::string("hunt --scenario lawless --first-seed 11 --failures 1 --seeds 5000 --jobs ") +
            jobs);
    EXPECT_EQ(ended.exit_code, 1);
    EXPECT_NE(ended.out.find("the lowest is seed 17\n"), std::string::npos) << jobs << "\n"
                                                                            << ended.out;
    EXPECT_EQ(ended.out.find("even_sevens"), std::string::npos) << jobs << "\n" << ended.out;
  }
}

TEST(CliHunt, every_line_that_it_prints_reproduces_the_failure) {
  const TemporaryFolder folder;
  const Ended hunt = run_test_tool(folder.path(), "hunt --scenario lawless --seeds 50 --no-faults");
  const auto lines = lines_with(hunt.out, " replay ");
  ASSERT_EQ(lines.size(), 4U) << hunt.out;
  for (const std::string& line : lines) {
    const Ended replay = Process(folder.path(), words(line), {as_misbehaving_tool}).wait();
    EXPECT_EQ(replay.exit_code, 1) << line << "\n" << replay.out << replay.err;
    EXPECT_NE(replay.out.find("_sevens"), std::string::npos) << replay.out;
  }
}

TEST(CliHunt, a_crash_becomes_a_capsule_and_the_hunt_goes_on) {
  const TemporaryFolder folder;
  const Ended ended = run_test_tool(folder.path(), "hunt --scenario crashing --seeds 40 --jobs 2");
  EXPECT_EQ(ended.exit_code, 4) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("ran        40 seeds"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("in 4 seeds, the lowest is seed 7\n"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("a precondition is broken on purpose"), std::string::npos) << ended.out;
  EXPECT_EQ(capsules_in(folder.path() / "capsules"), 1U);
  const auto lines = lines_with(ended.out, " replay ");
  ASSERT_EQ(lines.size(), 2U) << ended.out;
  for (const std::string& line : lines)
    EXPECT_EQ(Process(folder.path(), words(line), {as_misbehaving_tool}).wait().exit_code, 4)
        << line;
}

TEST(CliHunt, a_hang_becomes_a_capsule_and_the_hunt_goes_on) {
  const TemporaryFolder folder;
  const Ended ended = run_test_tool(
      folder.path(), "hunt --scenario hanging --seeds 20 --jobs 2 --hang-after 300ms");
  EXPECT_EQ(ended.exit_code, 3) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("ran        20 seeds"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("no_progress:hang in 2 seeds, the lowest is seed 7\n"),
            std::string::npos)
      << ended.out;
  EXPECT_EQ(capsules_in(folder.path() / "capsules"), 1U);
}

// Ctrl-Z, and fg later.
TEST(CliHunt, a_hunt_that_was_stopped_for_a_while_finds_no_hang) {
  const TemporaryFolder folder;
  // The workers first, so that the one who watches them has seen them stand still before it is stopped itself.
  const std::string script =
      test_tool_path() +
      " hunt --scenario calm --seeds 100000000 --jobs 2 --hang-after 500ms --time 4s & "
      "sleep 0.7; workers=$(cat /proc/$!/task/$!/children); kill -STOP $workers; sleep 0.2; "
      "kill -STOP $!; sleep 1.5; kill -CONT $!; sleep 0.1; kill -CONT $workers; wait $!";
  const Ended ended =
      Process(folder.path(), {"/bin/sh", "-c", script}, {as_misbehaving_tool}).wait();
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_EQ(ended.out.find("hang"), std::string::npos) << ended.out;
}

TEST(CliHunt, a_deadlock_is_no_progress_and_names_the_fiber) {
  const TemporaryFolder folder;
  const Ended ended = run_test_tool(folder.path(), "hunt --scenario deadlocked --seeds 20");
  EXPECT_EQ(ended.exit_code, 3) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("an event that nobody sets"), std::string::npos) << ended.out;
}

TEST(CliHunt, nondeterminism_is_found_by_running_some_seeds_twice) {
  const TemporaryFolder folder;
  // One seed in 256 runs twice, the first of the hunt among them.
  const Ended ended =
      run_test_tool(folder.path(), "hunt --scenario unsteady --first-seed 7 --seeds 10");
  EXPECT_EQ(ended.exit_code, 5) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("nondeterminism:hash"), std::string::npos) << ended.out;
}

TEST(CliHunt, ctrl_c_ends_it_with_what_was_found) {
  const TemporaryFolder folder;
  Process hunt(folder.path(), {test_tool_path(), "hunt", "--scenario", "lawless", "--time", "1h"},
               {as_misbehaving_tool});
  ASSERT_TRUE(hunt.says("jobs"));
  std::this_thread::sleep_for(700ms);
  hunt.signal(SIGINT);
  const Ended ended = hunt.wait();
  EXPECT_EQ(ended.exit_code, 1) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("interrupted after"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("the lowest is seed 7\n"), std::string::npos) << ended.out;
}

TEST(CliHunt, an_interrupted_hunt_that_found_nothing_is_no_pass) {
  const TemporaryFolder folder;
  Process hunt(folder.path(),
               {test_tool_path(), "hunt", "--scenario", "calm", "--time", "1h", "--results", "it"},
               {as_misbehaving_tool});
  ASSERT_TRUE(hunt.says("jobs"));
  std::this_thread::sleep_for(300ms);
  hunt.signal(SIGINT);
  const Ended ended = hunt.wait();
  expect_one_sentence(ended, 6, "interrupted; what was not run is not known to hold");
  EXPECT_NE(ended.out.find("\nno law was broken in the seeds that ran\n"), std::string::npos)
      << ended.out;
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "it"));
}

TEST(CliHunt, an_impatient_ctrl_c_costs_neither_findings_nor_results) {
  // As a key that is held down sends it: while it hunts, and while it makes its capsules.
  for (int round = 0; round < 5; ++round) {
    const TemporaryFolder folder;
    Process hunt(
        folder.path(),
        {test_tool_path(), "hunt", "--scenario", "lawless", "--time", "1h", "--results", "it"},
        {as_misbehaving_tool});
    ASSERT_TRUE(hunt.says("jobs"));
    std::this_thread::sleep_for(700ms);
    for (int i = 0; i < 8; ++i) {
      hunt.signal(SIGINT);
      std::this_thread::sleep_for(5ms);
    }
    const Ended ended = hunt.wait();
    EXPECT_EQ(ended.out.find("crash:"), std::string::npos) << ended.out;
    EXPECT_NE(ended.out.find("the lowest is seed 7\n"), std::string::npos) << ended.out;
    EXPECT_EQ(capsules_in(folder.path() / "capsules"), 2U) << ended.out;
    const bool kept = std::filesystem::exists(folder.path() / "it");
    EXPECT_EQ(ended.exit_code, kept ? 1 : 6) << ended.out << ended.err;
    EXPECT_NE(kept, ended.err.find("the results are not kept") != std::string::npos) << ended.err;
  }
}

TEST(CliHunt, a_limit_of_time_ends_it) {
  const TemporaryFolder folder;
  const Ended ended = run_test_tool(folder.path(), "hunt --scenario calm --time 500ms");
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
}

TEST(CliHunt, hashes_do_not_depend_on_the_number_of_workers) {
  const TemporaryFolder folder;
  const std::string arguments = "hunt --scenario calm --seeds 100 --hashes --jobs ";
  const auto one = lines_with(run_test_tool(folder.path(), arguments + "1").out, "");
  const auto three = lines_with(run_test_tool(folder.path(), arguments + "3").out, "");
  std::size_t hashes = 0;
  ASSERT_EQ(one.size(), three.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    if (one[i].empty() || one[i].find_first_not_of("0123456789abcdef ") != std::string::npos)
      continue;
    EXPECT_EQ(one[i], three[i]);
    ++hashes;
  }
  EXPECT_EQ(hashes, 100U);
}

TEST(CliHunt, a_folder_that_cannot_be_written_costs_the_capsule_and_not_the_finding) {
  const TemporaryFolder folder;
  write_file(folder.path() / "taken", "a file, not a folder");
  const Ended ended =
      run_test_tool(folder.path(), "hunt --scenario lawless --seeds 10 --capsules taken");
  EXPECT_EQ(ended.exit_code, 1) << ended.out << ended.err;
  EXPECT_NE(ended.err.find("cannot write the capsule taken/"), std::string::npos) << ended.err;
  EXPECT_EQ(lines_with(ended.out, " replay ").size(), 1U) << ended.out;
}

TEST(CliHunt, a_knob_that_no_seed_reads_is_bad_usage) {
  const TemporaryFolder folder;
  EXPECT_EQ(run_test_tool(folder.path(), "hunt --scenario calm --seeds 20 --set depth=4").exit_code,
            0);
  expect_one_sentence(run_test_tool(folder.path(), "hunt --scenario calm --seeds 20 --set dpeth=4"),
                      2, "read the knob 'dpeth'");
}

TEST(CliHunt, a_knob_that_no_seed_reads_costs_no_finding) {
  const TemporaryFolder folder;
  const Ended ended = run_test_tool(
      folder.path(), "hunt --scenario lawless --seeds 20 --set dpeth=4 --results kept.hunt");
  EXPECT_EQ(ended.exit_code, 1) << ended.out << ended.err;
  EXPECT_EQ(lines_with(ended.out, " replay ").size(), 4U) << ended.out;
  EXPECT_NE(ended.err.find("read the knob 'dpeth'"), std::string::npos) << ended.err;
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "kept.hunt"));
}

TEST(CliHunt, a_line_that_makes_a_failure_again_is_fit_for_a_shell) {
  const TemporaryFolder folder;
  const std::vector<std::pair<std::string, std::string>> environment = {as_misbehaving_tool};
  const std::vector<std::string> command = {test_tool_path(), "hunt",
                                            "--scenario",     "lawless",
                                            "--first-seed",   "7",
                                            "--seeds",        "1",
                                            "--fault",        "short_write@#1>#2=0.1",
                                            "--capsules",     "my capsules"};
  const Ended ended = Process(folder.path(), command, environment).wait();
  EXPECT_EQ(ended.exit_code, 1) << ended.out << ended.err;
  const auto lines = lines_with(ended.out, " replay ");
  ASSERT_EQ(lines.size(), 2U) << ended.out;
  EXPECT_NE(lines[0].find(" --fault 'short_write@#1>#2=0.1'"), std::string::npos) << lines[0];
  EXPECT_NE(lines[1].find(" replay 'my capsules/"), std::string::npos) << lines[1];
  for (const std::string& line : lines)
    EXPECT_EQ(Process(folder.path(), {"/bin/sh", "-c", line}, environment).wait().exit_code, 1)
        << line;
}

TEST(CliHunt, a_fault_that_is_on_and_does_nothing_is_named_and_fails_where_bites_are_required) {
  const TemporaryFolder folder;
  const std::string arguments = "hunt --scenario calm --seeds 1000 --fault clog=0.5";
  const Ended told = run_test_tool(folder.path(), arguments);
  EXPECT_EQ(told.exit_code, 0) << told.out << told.err;
  EXPECT_NE(told.out.find("on and never drawn: wake_order clog\n"), std::string::npos) << told.out;
  const Ended required = run_test_tool(folder.path(), arguments + " --require-bites");
  EXPECT_EQ(required.exit_code, 7) << required.out << required.err;
}

TEST(CliHunt, a_state_that_never_comes_fails_where_states_are_required) {
  const TemporaryFolder folder;
  const std::string arguments = "hunt --scenario traffic --seeds 20 --no-faults";
  const Ended told = run_tool_in(folder.path(), tool_path(), arguments);
  EXPECT_EQ(told.exit_code, 0) << told.out << told.err;
  EXPECT_EQ(told.out.find("never reached"), std::string::npos) << told.out;
  const Ended required = run_tool_in(folder.path(), tool_path(), arguments + " --require-states");
  EXPECT_EQ(required.exit_code, 7) << required.out << required.err;
  EXPECT_NE(required.out.find("never reached: lost_and_sent_again"), std::string::npos)
      << required.out;
}

TEST(CliHunt, what_only_a_rerun_without_a_fault_breaks_is_a_failure_that_can_be_made_again) {
  const TemporaryFolder folder;
  const std::string arguments = "hunt --scenario needy --seeds 40 --fault no_memory=1 --resample ";
  EXPECT_EQ(run_test_tool(folder.path(), arguments + "0").exit_code, 0);
  const Ended hunt = run_test_tool(folder.path(), arguments + "1");
  EXPECT_EQ(hunt.exit_code, 1) << hunt.out << hunt.err;
  EXPECT_NE(hunt.out.find("run once more, without a decision on no_memory"), std::string::npos)
      << hunt.out;
  for (const char* verb : {" hunt --first-seed ", " replay "}) {
    const auto lines = lines_with(hunt.out, verb);
    ASSERT_EQ(lines.size(), 1U) << hunt.out;
    const Ended again = Process(folder.path(), words(lines[0]), {as_misbehaving_tool}).wait();
    EXPECT_EQ(again.exit_code, 1) << lines[0] << "\n" << again.out << again.err;
  }
}

}  // namespace
}  // namespace twinwire::props
