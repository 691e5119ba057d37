// SPDX-License-Identifier: Apache-2.0
// A story from a trace: who, what, when; an offset as the message in which it lies; the law at the end, nothing after.
// ctest: no_tsan
#include "cli/storyteller.h"

#include <gtest/gtest.h>

namespace twinwire::cli {
namespace {

constexpr const char* up = "10.0.0.2:32768>10.0.0.1:4000";
constexpr const char* down = "10.0.0.1:4000>10.0.0.2:32768";

using Lines = std::vector<std::pair<const char*, const char*>>;

std::vector<ToldStep> steps_of(const Lines& lines, const char* client = "client0") {
  std::vector<ToldStep> steps;
  const auto add = [&](std::int64_t ns, const char* who, const char* what) {
    steps.push_back({{ns}, who, what});
  };
  add(0, "main", "runs");
  add(0, "server", "is 10.0.0.1:0");
  add(0, client, "is 10.0.0.2:0");
  add(0, up, "connects");
  std::int64_t ns = 0;
  for (const auto& [who, what] : lines) add(ns += 1'000'000, who, what);
  return steps;
}

std::vector<std::string> texts(const std::vector<StoryLine>& lines) {
  std::vector<std::string> result;
  for (const StoryLine& line : lines) result.push_back(line.text);
  return result;
}

std::vector<std::string> story(const Lines& lines, bool bare_frames = true) {
  return texts(Storyteller(bare_frames).tell(steps_of(lines)));
}

TEST(Storyteller, names_the_ends_of_the_only_connection_without_a_number) {
  const auto lines =
      story({{up, "accepted"}, {"client0", "begins batch 1: 1 message of 256 bytes"}});
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], "client connects to server");
  EXPECT_EQ(lines[1], "server accepts the connection of client");
  EXPECT_EQ(lines[2], "client begins to send batch 1: 1 message of 256 bytes");
}

TEST(Storyteller, says_in_which_message_of_which_batch_a_reset_strikes) {
  const auto lines = story({{"client0", "begins batch 1: 1 message of 256 bytes"},
                            {"client0", "begins batch 2: 4 messages of 300+2x400+256 bytes"},
                            {up, "reset at offset 1000"}});
  EXPECT_EQ(lines.back(),
            "fault: the stream client→server is reset when byte 1,000 would arrive (inside message "
            "3 of batch 2)");
}

TEST(Storyteller, finds_the_batches_of_a_server_whose_node_serves_all) {
  const auto lines = story({{"server0", "begins batch 1: 2 messages of 2x256 bytes"},
                            {down, "early_fin at offset 256"}});
  EXPECT_EQ(lines.back(),
            "fault: client sees a clean end of the stream server→client in place of byte 256 (just "
            "before message 2 of batch 1); server sees a reset");
}

TEST(Storyteller, does_not_guess_where_bytes_are_not_the_messages_own) {
  const auto lines = story(
      {{"client0", "begins batch 1: 1 message of 256 bytes"}, {up, "reset at offset 100"}}, false);
  EXPECT_EQ(lines.back(), "fault: the stream client→server is reset when byte 100 would arrive");
}

TEST(Storyteller, leaves_out_fibers_that_run_and_joins_what_follows_upon_itself) {
  const auto lines = story({{"client0", "begins batch 1: 3 messages of 3x256 bytes"},
                            {"client0.write", "runs"},
                            {up, "delivered 256 bytes at offset 0"},
                            {up, "delivered 512 bytes at offset 256"},
                            {"server0.read", "runs"},
                            {"server0", "reads message 1: 256 bytes"},
                            {"server0", "reads message 2: 256 bytes"},
                            {"client0", "batch 1 succeeded"}});
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_EQ(lines[2], "client→server: bytes 0 to 768 arrive");
  EXPECT_EQ(lines[3], "server reads messages 1 to 2");
  EXPECT_EQ(lines[4], "client: batch 1 succeeded");
}

TEST(Storyteller, ends_with_the_law_and_says_what_it_demands) {
  const auto lines = story({{"client0", "begins batch 1: 1 message of 256 bytes"},
                            {"law prefix", "a message that nobody sent"},
                            {"client0", "begins to close, within 1000000 ns"}});
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_TRUE(lines.back().starts_with("LAW BROKEN: prefix. a message that nobody sent"));
  EXPECT_NE(lines.back().find("The law: a reader yields"), std::string::npos);
}

TEST(Storyteller, numbers_the_connections_of_one_client) {
  const auto lines = texts(
      Storyteller(true).tell(steps_of({{"10.0.0.2:32769>10.0.0.1:4000", "connects"},
                                       {"10.0.0.2:32769>10.0.0.1:4000", "silent_loss at offset 5"}},
                                      "client")));
  EXPECT_EQ(lines.back(),
            "fault: from byte 5 on nothing of the stream client→server (connection 2) arrives any "
            "more");
}

TEST(Storyteller, counts_datagrams_that_are_lost) {
  const auto lines = story({{up, "datagram_loss: a datagram of 1200 bytes is lost"},
                            {up, "datagram_loss: a datagram of 1200 bytes is lost"}});
  EXPECT_EQ(lines.back(), "fault: 2 datagrams client0→server are lost");
}

TEST(Storyteller, says_who_talks_in_datagrams_and_how_often_a_reader_was_stopped) {
  const auto lines =
      texts(Storyteller(false).tell({{{0}, "server", "is 10.0.0.1:0"},
                                     {{0}, "client0", "is 10.0.0.2:0"},
                                     {{1}, up, "delivered a datagram of 1200 bytes"},
                                     {{2}, down, "delivered a datagram of 1200 bytes"},
                                     {{3}, "client0", "is told to stop reading, and reads again"},
                                     {{4}, "client0", "is told to stop reading, and reads again"},
                                     {{5}, "client0", "reads message 1: 256 bytes"}}));
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], "client and server begin to exchange datagrams");
  EXPECT_EQ(lines[1], "client is told to stop reading, and reads again, 2 times");
  EXPECT_EQ(lines[2], "client reads message 1");
}

TEST(Storyteller, a_batch_that_is_sent_at_once_is_one_line_and_what_repeats_is_counted) {
  const std::string two_lines = "datagram of 1200 bytes dropped: receive buffer full";
  const auto lines =
      Storyteller(false).tell({{{0}, "server", "is 10.0.0.1:0"},
                               {{0}, "client0", "is 10.0.0.2:0"},
                               {{7}, "client0", "begins batch 1: 1 message of 256 bytes"},
                               {{7}, "client0", "batch 1 succeeded"},
                               {{8}, "client0", "begins batch 2: 1 message of 256 bytes"},
                               {{9}, up, two_lines},
                               {{9}, up, two_lines},
                               {{9}, "client0", "batch 2 succeeded"}});
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_EQ(lines[0].text, "client sends batch 1: 1 message of 256 bytes, and succeeds at once");
  EXPECT_EQ(lines[1].text, "client begins to send batch 2: 1 message of 256 bytes");
  EXPECT_EQ(lines[3].times, 2U);
  EXPECT_NE(format_story(lines).find("receive buffer full (client→server) (2 times)"),
            std::string::npos);
  EXPECT_EQ(lines[4].text, "client: batch 2 succeeded");
}

TEST(Storyteller, a_page_has_numbers_times_and_lines_that_fit) {
  std::string two_words(111, 'a');
  two_words[40] = ' ';
  const std::vector<StoryLine> lines = {{{1'234'567}, "short"}, {{2'000'000'000}, two_words}};
  const std::string page = format_story(lines);
  EXPECT_TRUE(page.starts_with("  1           1.234 ms  short\n")) << page;
  EXPECT_NE(page.find("\n  2        2000.000 ms  aaa"), std::string::npos) << page;
  EXPECT_NE(page.find("a\n                        a"), std::string::npos) << page;
}

TEST(Storyteller, a_long_story_is_cut_in_its_middle_and_says_so) {
  std::vector<StoryLine> lines(200, StoryLine{{0}, "again"});
  lines.back().text = "the end";
  const std::string page = format_story(lines);
  EXPECT_LE(std::count(page.begin(), page.end(), '\n'), 61);
  EXPECT_NE(page.find("160 lines are left out"), std::string::npos);
  EXPECT_NE(page.find("the end"), std::string::npos);
}

TEST(Storyteller, a_long_story_keeps_its_faults) {
  std::vector<StoryLine> lines(200, StoryLine{{0}, "again"});
  lines[70].text = "fault: server loses power for 4 ms";
  lines[71].text = "from here on there are no faults";
  const std::string page = format_story(lines);
  EXPECT_NE(page.find("50 lines are left out"), std::string::npos) << page;
  EXPECT_NE(page.find(" 71           0.000 ms  fault: server loses power for 4 ms\n 72 "),
            std::string::npos)
      << page;
  EXPECT_NE(page.find("108 lines are left out"), std::string::npos) << page;
}

TEST(Storyteller, says_who_does_not_hear_whom) {
  const auto lines = story({{"client0", "begins batch 1: 1 message of 256 bytes"},
                            {"network", "partition: server and client0 for 3000000 ns"},
                            {"network", "partition_one_way: client0 towards server for 4000000 ns"},
                            {"network", "isolation: server without end"},
                            {"network", "split: server, apart from client0 for 5000000 ns"}});
  EXPECT_EQ(lines, (std::vector<std::string>{
                       "client connects to server",
                       "client begins to send batch 1: 1 message of 256 bytes",
                       "fault: for 3 ms server and client do not hear each other",
                       "fault: for 4 ms nothing gets through from client to server",
                       "fault: from here on no other node hears server, and server hears none",
                       "fault: for 5 ms the network is split: server, apart from client",
                   }));
}

TEST(Storyteller, says_what_is_wrong_with_nodes_lines_and_datagrams) {
  const auto lines =
      story({{"client0", "begins batch 1: 1 message of 256 bytes"},
             {"server", "small_buffer: holds 5000 bytes to be sent"},
             {"server", "short_backlog: holds 2 connections in place of 129"},
             {up, "bandwidth: a KiB takes 200000 ns to leave"},
             {up, "datagram_cut: only the first 1 of 30 bytes arrive"},
             {up, "datagram_flip: bit 3 of byte 7 arrives as the other one"},
             {up, "mtu_black_hole: a datagram of 1300 bytes is lost"},
             {"server", "clock_skew: -3600000000000 ns"},
             {"server", "timer_drift: 120 ppm"},
             {"10.0.0.2:32768", "address_change: from now on it is seen as 10.0.0.2:40000"}});
  EXPECT_EQ(
      std::vector<std::string>(lines.begin() + 2, lines.end()),
      (std::vector<std::string>{
          "fault: a buffer of server holds 5000 bytes to be sent",
          "fault: a backlog of server holds 2 connections in place of 129",
          "fault: the stream client→server runs over a slow line: a KiB takes 200 us to leave",
          "fault: of a datagram client→server only the first 1 of 30 bytes arrive",
          "fault: of a datagram client→server bit 3 of byte 7 arrives as the other one",
          "fault: a datagram client→server of 1,300 bytes is lost: it is too large for the path",
          "fault: the calendar of server is 1 h 00 min behind",
          "fault: the clock of server runs 120 ppm too fast",
          "fault: from here on client is seen as 10.0.0.2:40000 in place of 10.0.0.2:32768",
      }));
}

TEST(Storyteller, ends_where_the_run_does) {
  const auto lines = story({{"client0", "begins batch 1: 1 message of 256 bytes"},
                            {"the run", "is over: stuck"},
                            {"client0", "reading ends: canceled: the operation was told to stop"}});
  EXPECT_EQ(lines.back(), "client begins to send batch 1: 1 message of 256 bytes");
}

TEST(Storyteller, tells_the_times_of_a_law_in_words) {
  const auto lines = story({{"law close_returns", "client1: close returned 187378000 ns late"}});
  EXPECT_EQ(lines.back().substr(0, lines.back().find('\n')),
            "LAW BROKEN: close_returns. client1: close returned 187 ms late");
}

TEST(Storyteller, says_what_becomes_of_a_node) {
  const auto lines = story({{"server", "crash for 3000000 ns"},
                            {"server", "loses 2 of 5 records that were not synced"},
                            {"server", "starts again"},
                            {"server", "power_loss for 4000000 ns"},
                            {"client0", "pause for 5000000 ns"},
                            {"client0", "goes on: 2 fibers were woken meanwhile"},
                            {"faults", "end"}});
  EXPECT_EQ(lines, (std::vector<std::string>{
                       "client connects to server",
                       "fault: the program on server is killed; it may start again 3 ms later",
                       "server loses 2 of 5 records that were not synced",
                       "server starts again",
                       "fault: server loses power for 4 ms",
                       "fault: client stands still for 5 ms; its kernel goes on",
                       "client goes on: 2 fibers were woken meanwhile",
                       "from here on there are no faults",
                   }));
}

TEST(Storyteller, has_words_for_every_law_of_the_contract) {
  for (const char* law : {"prefix",
                          "accepted",
                          "drop",
                          "batch_kept",
                          "batch_reused",
                          "reader_wakes",
                          "read_checks",
                          "read_bounded",
                          "read_end",
                          "deadline",
                          "close_delivers",
                          "close_returns",
                          "accept",
                          "zero_copy",
                          "batch_limit",
                          "errors",
                          "leak",
                          "identity",
                          "backpressure",
                          "reply_matches",
                          "request_intact",
                          "request_once",
                          "request_answered",
                          "request_alone",
                          "exception"})
    EXPECT_FALSE(law_in_words(law).empty()) << law;
  EXPECT_TRUE(law_in_words("a law of somebody else's").empty());
}

}  // namespace
}  // namespace twinwire::cli
