// SPDX-License-Identifier: Apache-2.0
// ctest: real_time no_tsan
// bench: what it counts and verifies; never how fast.
#include <sstream>

#include "props/cli_process.h"
#include "props/laws/registry.h"

namespace twinwire::props {
namespace {

// The rows of the table, by their first word.
std::vector<std::vector<std::string>> rows_of(const std::string& out) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::vector<std::string> row;
    for (std::string word; words >> word;) row.push_back(word);
    for (const std::string_view name : laws::transport_names())
      if (row.size() >= 5 && row[0] == name) rows.push_back(row);
  }
  return rows;
}

TEST(CliBench, every_transport_delivers_in_the_world_and_over_loopback) {
  const TemporaryFolder folder;
  const Ended ended = run_tool_in(folder.path(), tool_path(),
                                  "bench transports --alone --rounds 1 --time 5ms --size 300");
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  const auto rows = rows_of(ended.out);
  ASSERT_EQ(rows.size(), laws::transport_count) << ended.out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i][0], laws::transport_names()[i]);
    EXPECT_EQ(rows[i][1], "300");
    EXPECT_EQ(rows[i][2], "64");
    EXPECT_NE(rows[i][3], "0") << ended.out;
    EXPECT_NE(rows[i][4], "0") << ended.out;
  }
  EXPECT_NE(ended.out.find("messages counted, sums verified"), std::string::npos) << ended.out;
}

TEST(CliBench, the_world_has_a_row_for_each_transport_with_and_without_faults) {
  const TemporaryFolder folder;
  const Ended ended =
      run_tool_in(folder.path(), tool_path(), "bench sim --rounds 1 --time 1ms --set messages=5");
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  const auto rows = rows_of(ended.out);
  ASSERT_EQ(rows.size(), 2 * laws::transport_count) << ended.out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i][0], laws::transport_names()[i / 2]);
    EXPECT_EQ(rows[i][1], i % 2 == 0 ? "none" : "swarm");
    for (const std::size_t column : {2, 3, 4, 6, 7, 8, 9})
      EXPECT_NE(rows[i][column], "0") << column << "\n" << ended.out;
    EXPECT_EQ(rows[i][5], "-") << "no goal was set for other work than the default";
  }
}

TEST(CliBench, the_world_is_measured_as_it_is_asked_for) {
  const TemporaryFolder folder;
  const auto row_of = [&](const std::string& arguments) {
    const Ended ended = run_tool_in(folder.path(), tool_path(),
                                    "bench sim --rounds 1 --time 1ms --transport tcp " + arguments);
    EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
    const auto rows = rows_of(ended.out);
    EXPECT_EQ(rows.size(), 1U) << ended.out;
    return rows.empty() ? std::vector<std::string>(12) : rows[0];
  };
  EXPECT_EQ(row_of("--no-faults")[1], "none");
  EXPECT_EQ(row_of("--no-faults")[5], "16,000");
  EXPECT_EQ(row_of("--swarm")[1], "swarm");
  EXPECT_EQ(row_of("--swarm")[5], "12,000");
  EXPECT_EQ(row_of("--fault short_write=0.5:20")[1], "given");
}

// The tool stands alone in a folder: nothing is measured before the peers are found.
TEST(CliBench, without_its_peers_it_says_how_to_build_them) {
  const TemporaryFolder folder;
  const std::string alone = (folder.path() / "twinwire").string();
  std::filesystem::copy_file(tool_path(), alone);
  const Ended ended = run_tool_in(folder.path(), alone, "bench transports --rounds 1 --time 5ms");
  expect_one_sentence(ended, 6, "there is no twinwire-peers beside this tool");
  EXPECT_NE(ended.err.find("--target twinwire-peers"), std::string::npos) << ended.err;
  EXPECT_EQ(ended.out, "");
}

// A peer that reports what it did not do is found out.
TEST(CliBench, a_peer_that_fails_is_one_sentence) {
  const TemporaryFolder folder;
  const std::string tool = (folder.path() / "twinwire").string();
  std::filesystem::copy_file(tool_path(), tool);
  const auto peers = folder.path() / "twinwire-peers";
  const auto with_peers = [&](const std::string& script) {
    write_file(peers, "#!/bin/sh\n" + script);
    std::filesystem::permissions(peers, std::filesystem::perms::owner_all);
    return run_tool_in(folder.path(), tool,
                       "bench transports --rounds 1 --time 5ms --size 256 --transport tcp");
  };
  const std::string version = "[ $1 = version ] && echo fake && exit 0\n";
  const Ended broken = with_peers(version + "echo it broke >&2\nexit 6\n");
  EXPECT_EQ(broken.exit_code, 6) << broken.out << broken.err;
  EXPECT_NE(broken.err.find("it broke"), std::string::npos) << broken.err;
  const Ended miscounted = with_peers(
      version + "[ $1 = serve ] && echo port 1 && exec sleep 100\necho miscounted >&2\nexit 1\n");
  EXPECT_EQ(miscounted.exit_code, 1) << miscounted.out << miscounted.err;
  EXPECT_NE(miscounted.err.find("miscounted"), std::string::npos) << miscounted.err;
}

}  // namespace
}  // namespace twinwire::props
