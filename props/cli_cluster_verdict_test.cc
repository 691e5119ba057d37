// SPDX-License-Identifier: Apache-2.0
// What is said of a cluster whose files, answers and tallies agree, and of each way in which they do not; and what a
// process of it ended with.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <thread>

#include "cli/cluster_verdict.h"
#include "cli/node_process.h"
#include "cli/text.h"
#include "props/cli_process.h"

namespace twinwire::props {
namespace {

using cli::ClusterEvidence;
using cli::LogFileEntry;

constexpr std::uint64_t first_label = 1'000;

// Two clients with 100 requests each, in turn, behind a session each; all of it acknowledged, and on three replicas.
struct Settled {
  Settled() {
    std::vector<LogFileEntry> log{{.checksum = 1}, {.checksum = 2}};
    for (std::uint64_t i = 0; i < 200; ++i)
      log.push_back({.checksum = 3 + i,
                     .is_request = true,
                     .client = first_label + i % 2,
                     .number = 1 + i / 2,
                     .applied = 1 + i,
                     .sum = 7 * (1 + i)});
    results.resize(2);
    for (std::size_t at = 2; at < log.size(); ++at)
      results[at % 2].told.push_back({at + 1, log[at].applied, log[at].sum});
    for (auto& result : results) result.acknowledged = result.told.size();
    evidence.logs.assign(3, log);
    evidence.first_client = first_label;
    evidence.settled = true;
    evidence.tallies.assign(3, cli::PrintedTally{200, 1'400});
  }
  std::string said() {
    evidence.results = results;
    std::string all;
    for (const std::string& sentence : cli::judge_cluster(evidence).wrong) all += sentence + "\n";
    return all;
  }
  std::vector<cli::BusLoadResult> results;
  ClusterEvidence evidence;
};

TEST(CliClusterVerdict, nothing_is_wrong_where_all_agree) {
  Settled settled;
  EXPECT_EQ(settled.said(), "");
  const auto verdict = cli::judge_cluster(settled.evidence);
  EXPECT_EQ(verdict.applied, 200U);
  EXPECT_EQ(verdict.beyond, 0U);
  EXPECT_EQ(verdict.copies_of, (std::vector<std::uint64_t>{0, 0, 0, 200}));
}

TEST(CliClusterVerdict, the_last_request_may_be_in_doubt) {
  Settled settled;
  settled.results[1].told.pop_back();
  --settled.results[1].acknowledged;
  EXPECT_EQ(settled.said(), "");
  EXPECT_EQ(cli::judge_cluster(settled.evidence).beyond, 1U);
}

TEST(CliClusterVerdict, what_nobody_was_told_of_need_not_be_applied) {
  Settled settled;
  settled.results[1].told.pop_back();
  --settled.results[1].acknowledged;
  settled.evidence.tallies[2] = {199, 1'393};
  EXPECT_EQ(settled.said(), "");
}

TEST(CliClusterVerdict, each_contradiction_is_told) {
  struct Case {
    const char* sentence;
    std::function<void(Settled&)> harm;
  };
  const Case cases[] = {
      {"entry 202 was acknowledged, and stands on 2 of 3 replicas",
       [](Settled& s) { s.evidence.logs[2].pop_back(); }},
      {"entry 202 was acknowledged, and stands on 1 of 3 replicas",
       [](Settled& s) {
         s.evidence.settled = false;
         s.evidence.logs[0].pop_back();
         s.evidence.logs[2].pop_back();
       }},
      {"200 requests were acknowledged, and 199 of them stand in the log",
       [](Settled& s) {
         for (auto& log : s.evidence.logs) log.pop_back();
       }},
      {"the log of replica 2 differs at entry 11",
       [](Settled& s) { s.evidence.logs[1][10].checksum = 0; }},
      {"entry 5 is of nobody who asked",
       [](Settled& s) { s.evidence.logs[0][4].client = first_label - 1; }},
      {"request 4 of client 1 stands where number 5 is due",
       [](Settled& s) { s.evidence.logs[0][10].number = 4; }},
      {"request 99 of client 1 was not yet asked when 97 were acknowledged",
       [](Settled& s) { s.results[0].acknowledged = 97; }},
      {"request 5 of client 1 was answered as entry 12, and is entry 11",
       [](Settled& s) { s.results[0].told[4].op = 12; }},
      {"request 5 of client 1 was answered with 10 requests, sum",
       [](Settled& s) { s.results[0].told[4].applied = 10; }},
      {"request 5 of client 1 was answered with 9 requests, sum 0000000000000001",
       [](Settled& s) { s.results[0].told[4].sum = 1; }},
      {"replica 3 did not say at its end what it has applied",
       [](Settled& s) { s.evidence.tallies[2].reset(); }},
      {"replica 2 has applied 201 requests, more than its log has",
       [](Settled& s) { s.evidence.tallies[1]->applied = 201; }},
      {"replica 2 has applied 200 requests, sum 0000000000000005, and of as many its log gives",
       [](Settled& s) { s.evidence.tallies[1]->sum = 5; }},
      {"replica 2 has applied 0 requests, though 200 were acknowledged",
       [](Settled& s) { s.evidence.tallies[1] = {0, 0}; }},
      {"replica 3 has applied 199 requests, though 200 were acknowledged",
       [](Settled& s) { s.evidence.tallies[2] = {199, 1'393}; }},
      {"replica 1 has applied 199 requests, though 200 were acknowledged",
       [](Settled& s) { s.evidence.tallies[0] = {199, 1'393}; }},
  };
  for (const Case& one : cases) {
    Settled settled;
    one.harm(settled);
    const std::string said = settled.said();
    EXPECT_NE(said.find(one.sentence), std::string::npos) << one.sentence << "\n" << said;
  }
}

TEST(CliClusterVerdict, the_last_tally_of_a_text_is_read) {
  const auto line = [](std::uint64_t applied, std::uint64_t sum) {
    return "tally      " + cli::with_commas(applied) + " requests, sum " + cli::hex16(sum) + "\n";
  };
  const auto tally = cli::last_tally_in("log\n" + line(1, 2) + line(1'234'567, 0xfedcba9876543210));
  ASSERT_TRUE(tally.has_value());
  EXPECT_EQ(tally->applied, 1'234'567U);
  EXPECT_EQ(tally->sum, 0xfedcba9876543210U);
  for (const std::string& text :
       {std::string(), std::string("log        5 entries\n"), line(3, 4).substr(0, 20)})
    EXPECT_FALSE(cli::last_tally_in(text).has_value()) << text;
}

// This executable stands in for the tool.
TEST(CliClusterVerdict, a_process_that_had_ended_by_itself_was_not_killed) {
  const TemporaryFolder folder;
  const std::string out = (folder.path() / "out").string();
  cli::NodeProcess lists({"--gtest_list_tests"}, out);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (lists.said().find("CliClusterVerdict") == std::string::npos &&
         std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  while (!lists.ended() && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(lists.kill(), 0);
  EXPECT_EQ(lists.ended(), 0);
  cli::NodeProcess killed({"--gtest_list_tests"}, out);
  EXPECT_EQ(killed.kill(), 128 + SIGKILL);
}

TEST(CliClusterVerdict, a_folder_in_place_of_a_file_is_a_sentence) {
  const TemporaryFolder folder;
  try {
    (void)cli::read_log_file(folder.path().string());
    ADD_FAILURE() << "a folder was read";
  } catch (const cli::Failure& failure) {
    EXPECT_NE(std::string(failure.what()).find("cannot read the log"), std::string::npos)
        << failure.what();
  }
  try {
    const cli::NodeProcess none({"--gtest_list_tests"}, folder.path().string());
    ADD_FAILURE() << "a folder was written to";
  } catch (const cli::Failure& failure) {
    EXPECT_EQ(failure.code(), cli::ExitCode::environment);
    EXPECT_NE(std::string(failure.what()).find("Is a directory"), std::string::npos)
        << failure.what();
  }
  const std::string out = (folder.path() / "out").string();
  const cli::NodeProcess lists({"--gtest_list_tests"}, out);
  std::filesystem::remove(out);
  std::filesystem::create_directory(out);
  EXPECT_EQ(lists.said(), "");
}

}  // namespace
}  // namespace twinwire::props
