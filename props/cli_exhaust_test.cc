// SPDX-License-Identifier: Apache-2.0
// exhaust through the tool: totals, failures that can be replayed, and a case that takes its process with it.
// ctest: no_tsan timeout=300
#include "props/cli_process.h"

#include "cli/tool.h"
#include "props/laws/scenarios/exchange.h"
#include "props/test_main.h"
#include "transport/base/check.h"

namespace twinwire::props {
namespace {

// Aborts where a connection fell silent.
struct Fragile {
  static constexpr std::string_view name = "exchange";
  static constexpr std::string_view summary = "dies of silence";
  template <Transport T>
  static void run(laws::Env& env) {
    laws::Exchange::run<T>(env);
    const Duration took = env.node("server").clock().now() - TimePoint{0};
    TWINWIRE_CHECK(took < std::chrono::seconds(10), "nobody waits for so long");
  }
};

const std::pair<std::string, std::string> as_fragile_tool{test_tool_variable, "fragile"};

Ended run_fragile(const std::filesystem::path& folder, const std::string& arguments) {
  return run_tool_in(folder, std::filesystem::read_symlink("/proc/self/exe").string(), arguments,
                     {as_fragile_tool});
}

TEST(CliExhaust, prints_totals_and_says_that_they_are_a_part) {
  const TemporaryFolder folder;
  const Ended ended = run_tool_in(folder.path(), tool_path(),
                                  "exhaust --mode stream --transport tcp --every 500 --jobs 2");
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  for (const char* part : {"stream over tcp: ", "cases  bit  passed  broken", "short write",
                           "client to server 2013 bytes", "0 broken; one case in 500"})
    EXPECT_NE(ended.out.find(part), std::string::npos) << part << "\n" << ended.out;
}

TEST(CliExhaust, a_planted_bug_is_found_and_its_line_shows_it_again) {
  const TemporaryFolder folder;
  const Ended found =
      run_tool_in(folder.path(), tool_path(),
                  "exhaust --mode stream --transport tcp --plant close_without_bound --every 50");
  EXPECT_EQ(found.exit_code, 1) << found.out << found.err;
  EXPECT_NE(found.out.find("silence, law_broken:close_returns, in "), std::string::npos)
      << found.out;
  const auto lines = lines_with(found.out, " replay ");
  ASSERT_FALSE(lines.empty()) << found.out;
  const Ended replay = Process(folder.path(), words(lines[0] + " --verify")).wait();
  EXPECT_EQ(replay.exit_code, 1) << replay.out << replay.err;
  EXPECT_NE(replay.out.find("equal in each"), std::string::npos) << replay.out << replay.err;
  EXPECT_NE(replay.out.find("nothing else is left to chance"), std::string::npos) << replay.out;
  const std::string capsule = words(lines[0]).back();
  const Ended story = run_tool_in(folder.path(), tool_path(), "story " + capsule);
  EXPECT_NE(story.out.find("LAW BROKEN: close_returns"), std::string::npos) << story.out;
  const Ended small = run_tool_in(folder.path(), tool_path(), "minimise " + capsule);
  EXPECT_NE(small.out.find("decisions 1 → 1"), std::string::npos) << small.out << small.err;
}

TEST(CliExhaust, a_case_that_kills_its_process_is_one_failure_and_not_the_end) {
  const TemporaryFolder folder;
  const Ended ended =
      run_fragile(folder.path(), "exhaust --mode stream --transport tcp --every 500 --jobs 2");
  EXPECT_EQ(ended.exit_code, 4) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("silence, crash:SIGABRT, in 25 cases"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("nobody waits for so long"), std::string::npos) << ended.out;
  // Every other kind went on to its end.
  const auto rows = lines_with(ended.out, "short read ");
  ASSERT_EQ(rows.size(), 1U) << ended.out;
  EXPECT_EQ(words(rows[0]), (std::vector<std::string>{"short", "read", "25", "25", "25", "0"}));
  const auto lines = lines_with(ended.out, " replay ");
  ASSERT_EQ(lines.size(), 2U) << ended.out;  // who alone is reset leaves the other waiting, too
  const Ended replay = Process(folder.path(), words(lines[1]), {as_fragile_tool}).wait();
  EXPECT_EQ(replay.exit_code, 4) << replay.out << replay.err;
}

TEST(CliExhaust, the_same_failure_is_the_first_whatever_the_number_of_workers) {
  std::string first;
  for (const char* jobs : {"1", "3"}) {
    const TemporaryFolder folder;
    const Ended ended = run_fragile(
        folder.path(),
        std::string("exhaust --mode stream --transport tcp --every 500 --jobs ") + jobs);
    const auto lines = lines_with(ended.out, "; the first is case ");
    ASSERT_EQ(lines.size(), 2U) << ended.out;
    if (first.empty()) first = lines[0] + lines[1];
    EXPECT_EQ(lines[0] + lines[1], first);
  }
}

TEST(CliExhaust, what_makes_no_sense_is_refused) {
  const TemporaryFolder folder;
  const std::pair<const char*, const char*> refused[] = {
      {"exhaust --mode streams", "there is no mode named 'streams'; did you mean 'stream'?"},
      {"exhaust --transport udp", "there is no transport named 'udp'"},
      {"exhaust --mode stream --transport quic", "is not about the transport 'quic'"},
      {"exhaust --plant nothing", "there is no planted bug named 'nothing'"},
      {"exhaust --hang-after soon", "'soon' is no duration"},
  };
  for (const auto& [arguments, sentence] : refused)
    expect_one_sentence(run_tool_in(folder.path(), tool_path(), arguments), 2, sentence);
}

const bool fragile_tool_is_there = test_tools()
                                       .emplace(as_fragile_tool.second,
                                                [](int argc, char** argv) {
                                                  laws::Registry registry;
                                                  registry.add<Fragile>();
                                                  return cli::tool_main(argc, argv, registry);
                                                })
                                       .second;

}  // namespace
}  // namespace twinwire::props
