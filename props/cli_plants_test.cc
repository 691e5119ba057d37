// SPDX-License-Identifier: Apache-2.0
// Planted bugs through the tool: `twinwire` finds its planted sibling by itself.
// ctest: timeout=300 no_tsan
#include "props/cli_process.h"

namespace twinwire::props {
namespace {

TEST(CliPlants, a_hunt_for_a_planted_bug_finds_it_and_its_lines_reproduce_it) {
  const TemporaryFolder folder;
  const Ended hunt =
      run_tool_in(folder.path(), tool_path(), "hunt --plant resume_at_wrong_offset --seeds 2000");
  ASSERT_EQ(hunt.exit_code, 1) << hunt.out << hunt.err;
  EXPECT_NE(hunt.out.find("plant      resume_at_wrong_offset"), std::string::npos) << hunt.out;
  const auto lines = lines_with(hunt.out, tool_path() + " replay ");
  ASSERT_EQ(lines.size(), 2U) << hunt.out;
  for (const std::string& line : lines) {
    const Ended replay = Process(folder.path(), words(line)).wait();
    EXPECT_EQ(replay.exit_code, 1) << line << "\n" << replay.out << replay.err;
    const Ended verified = Process(folder.path(), words(line + " --verify")).wait();
    EXPECT_NE(verified.out.find("equal in each"), std::string::npos)
        << verified.out << verified.err;
  }
  const Ended decisions = Process(folder.path(), words(lines[1] + " --as-decisions")).wait();
  EXPECT_EQ(decisions.exit_code, 1) << decisions.out << decisions.err;
}

TEST(CliPlants, the_table_names_what_caught_each) {
  const TemporaryFolder folder;
  const Ended ended =
      run_tool_in(folder.path(), tool_path(),
                  "plants free_batch_allocation accept_oversize_frame --rounds 3 --max-seeds 5000");
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("| free_batch_allocation |"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("law_broken:read_checks"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("2 of 2 planted bugs caught"), std::string::npos) << ended.out;
}

TEST(CliPlants, one_that_is_not_caught_is_a_failure) {
  const TemporaryFolder folder;
  // Nothing in this scenario can show it.
  const Ended ended =
      run_tool_in(folder.path(), tool_path(),
                  "plants accept_oversize_frame --scenario accepting --rounds 2 --max-seeds 5");
  EXPECT_EQ(ended.exit_code, 1) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("not caught in 2 rounds"), std::string::npos) << ended.out;
}

TEST(CliPlants, a_tool_without_a_planted_sibling_says_so) {
  const TemporaryFolder folder;
  const auto copy = folder.path() / "alone";
  std::filesystem::copy_file(tool_path(), copy);
  expect_one_sentence(run_tool_in(folder.path(), copy.string(), "hunt --plant drop_by_fin"), 2,
                      "this executable has no planted bugs");
}

}  // namespace
}  // namespace twinwire::props
