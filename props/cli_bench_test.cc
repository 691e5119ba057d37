// SPDX-License-Identifier: Apache-2.0
// ctest: real_time no_tsan
// bench: what it counts and verifies; never how fast.
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <utility>
#include <vector>

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

// The fields of the rows whose second word is `who`, after a work of one word.
std::vector<std::vector<std::string>> rows_of_work(const std::string& out, const std::string& who) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::vector<std::string> row;
    for (std::string word; words >> word;) row.push_back(word);
    const auto at = std::find(row.begin(), row.end(), who);
    if (at != row.begin() && at != row.end() && row.end() - at == 11) {
      std::string work = row[0];
      for (auto it = row.begin() + 1; it != at; ++it) work += " " + *it;
      rows.emplace_back(at, row.end());
      rows.back()[0] = work;
    }
  }
  return rows;
}

TEST(CliBench, ours_does_every_work_of_the_real_world) {
  const TemporaryFolder folder;
  const Ended ended = run_tool_in(folder.path(), tool_path(),
                                  "bench real --alone --rounds 1 --time 5ms --stream 256x256 "
                                  "--stream 65536x16 --echo 8x4 --svg plot.svg");
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  const auto rows = rows_of_work(ended.out, "twinwire");
  const std::vector<std::string> works = {"stream 256x256", "stream 65536x16", "echo 8x4",
                                          "ping-pong", "singles"};
  ASSERT_EQ(rows.size(), works.size()) << ended.out;
  for (std::size_t i = 0; i < works.size(); ++i) {
    EXPECT_EQ(rows[i][0], works[i]);
    for (const std::size_t column : {1, 6, 7}) EXPECT_NE(rows[i][column], "0") << ended.out;
    EXPECT_EQ(rows[i][8] != "-", works[i] == "ping-pong") << "who has round trips\n" << ended.out;
  }
  EXPECT_NE(ended.out.find("messages counted, sums verified"), std::string::npos) << ended.out;
  EXPECT_NE(read_file(folder.path() / "plot.svg").find("stream 256x256"), std::string::npos);
}

// Not after minutes of measuring; and what stands there stays until there is a whole one to take its place.
TEST(CliBench, a_plot_that_cannot_be_written_is_refused_before_anything_is_measured) {
  const TemporaryFolder folder;
  const auto bench = [&](const std::string& arguments) {
    return run_tool_in(folder.path(), tool_path(),
                       "bench real --alone --rounds 1 --time 5ms --only ping-pong " + arguments);
  };
  const Ended refused = bench("--svg nowhere/x.svg");
  expect_one_sentence(refused, 6,
                      "cannot write the plot nowhere/x.svg: there is no folder nowhere");
  EXPECT_EQ(refused.out, "");
  write_file(folder.path() / "x.svg", "precious");
  expect_one_sentence(bench("--svg x.svg --peer nobody --only nothing"), 2, "is no work");
  EXPECT_EQ(read_file(folder.path() / "x.svg"), "precious");
  const Ended ended = bench("--svg x.svg");
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_NE(read_file(folder.path() / "x.svg").find("<svg"), std::string::npos);
  EXPECT_NE(ended.out.find("coalesce_below = 1,025"), std::string::npos) << ended.out;
}

TEST(CliBench, the_real_world_without_its_peers_says_how_to_build_them) {
  const TemporaryFolder folder;
  const std::string alone = (folder.path() / "twinwire").string();
  std::filesystem::copy_file(tool_path(), alone);
  const Ended ended = run_tool_in(folder.path(), alone, "bench real --rounds 1 --time 5ms");
  expect_one_sentence(ended, 6, "there is no twinwire-peers beside this tool");
  EXPECT_EQ(ended.out, "");
}

// A peer that says what it did in numbers that are known: ratio, cost and plot are computed from them.
TEST(CliBench, ratios_are_ours_over_the_peers) {
  const TemporaryFolder folder;
  const std::string tool = (folder.path() / "twinwire").string();
  std::filesystem::copy_file(tool_path(), tool);
  const auto with_peers = [&](const std::string& load, const std::string& arguments) {
    write_file(folder.path() / "twinwire-peers",
               "#!/bin/sh\ncase $1 in\nreal-list) printf 'slow\\tstream\\ta slow one\\n';;\n"
               "real-serve) echo port 1;;\nreal-load) " +
                   load + ";;\nesac\n");
    std::filesystem::permissions(folder.path() / "twinwire-peers",
                                 std::filesystem::perms::owner_all);
    return run_tool_in(folder.path(), tool,
                       "bench real --rounds 2 --time 5ms --stream 256x256 " + arguments);
  };
  const std::string one_a_second =
      "echo measured 4 messages 4000000000 ns 2000 processor ns 2 calls 0 p50 0 p99";
  const Ended ended = with_peers(one_a_second, "--only stream --only ping-pong --svg plot.svg");
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  const auto rows = rows_of_work(ended.out, "slow");
  ASSERT_EQ(rows.size(), 1U) << "it does streams alone\n" << ended.out;
  EXPECT_EQ(rows[0][1], "1");
  EXPECT_GT(std::stod(rows[0][2]), 1000) << ended.out;
  EXPECT_LE(std::stod(rows[0][3]), std::stod(rows[0][2])) << ended.out;
  EXPECT_GE(std::stod(rows[0][4]), std::stod(rows[0][2])) << ended.out;
  EXPECT_EQ(rows[0][6], "500");
  EXPECT_EQ(rows[0][7], "0.5000");
  EXPECT_NE(read_file(folder.path() / "plot.svg").find(">slow<"), std::string::npos);

  expect_one_sentence(with_peers(one_a_second, "--peer fast"), 2,
                      "'fast' is no peer; there are slow");
  const Ended broken = with_peers("echo it broke >&2; exit 6", "--only stream");
  EXPECT_EQ(broken.exit_code, 6) << broken.out << broken.err;
  EXPECT_NE(broken.err.find("it broke"), std::string::npos) << broken.err;
  const Ended mute = with_peers("echo nonsense", "--only stream");
  EXPECT_EQ(mute.exit_code, 6) << mute.out << mute.err;
  EXPECT_NE(mute.err.find("'nonsense'"), std::string::npos) << mute.err;
}

// The tool stands alone in a folder: nothing is measured before the peers are found.
TEST(CliBench, two_shards_serve_what_is_dealt_out_to_them) {
  cpu_set_t set;
  ASSERT_EQ(::sched_getaffinity(0, sizeof set, &set), 0);
  const TemporaryFolder folder;
  const Ended ended = run_tool_in(folder.path(), tool_path(),
                                  "bench shards --rounds 1 --time 30ms --connections 5 --depth 3");
  if (CPU_COUNT(&set) < 2) {
    EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
    return;
  }
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  std::istringstream lines(ended.out);
  std::vector<std::pair<unsigned, unsigned>> rows;  // shards, processors
  for (std::string line; std::getline(lines, line);) {
    unsigned shards = 0;
    unsigned processors = 0;
    unsigned first_digits = 0;
    if (std::sscanf(line.c_str(), "%u %u %u", &shards, &processors, &first_digits) != 3) continue;
    rows.emplace_back(shards, processors);
    EXPECT_GT(first_digits, 0U) << line;
  }
  EXPECT_EQ(rows, (std::vector<std::pair<unsigned, unsigned>>{{1, 1}, {2, 2}})) << ended.out;
}

TEST(CliBench, the_bus_is_called_refuses_and_answers_over_two_shards) {
  cpu_set_t set;
  ASSERT_EQ(::sched_getaffinity(0, sizeof set, &set), 0);
  const TemporaryFolder folder;
  const Ended ended =
      run_tool_in(folder.path(), tool_path(),
                  "bench bus --rounds 1 --calls 2000 --time 100ms --connections 5 --depth 3");
  if (CPU_COUNT(&set) < 2) {
    EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
    return;
  }
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  for (const char* row :
       {"  send_to_client ", "  send_to_replica ", "  send_to_client, other shard ",
        "  send_to_replica, other shard ", "  send_to_client, queue full "}) {
    const std::size_t at = ended.out.find(row);
    ASSERT_NE(at, std::string::npos) << row << "\n" << ended.out;
    EXPECT_GT(std::strtod(ended.out.c_str() + at + std::strlen(row), nullptr), 0) << row;
  }
  EXPECT_NE(ended.out.find("to a full queue: 2,000 of 2,000 refused"), std::string::npos)
      << ended.out;
}

TEST(CliBench, where_no_message_came_back_in_time_it_says_why_and_what_to_do) {
  cpu_set_t set;
  ASSERT_EQ(::sched_getaffinity(0, sizeof set, &set), 0);
  if (CPU_COUNT(&set) < 2) return;
  const TemporaryFolder folder;
  expect_one_sentence(
      run_tool_in(folder.path(), tool_path(),
                  "bench bus --rounds 1 --calls 256 --time 1ms --connections 1000"),
      6,
      "over 1,000 connections not one message came back within 1 ms: give a longer --time, or "
      "fewer");
}

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
