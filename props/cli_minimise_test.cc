// SPDX-License-Identifier: Apache-2.0
// `minimise` and `story` as a user meets them: what they print, what they write, and what they refuse.
// ctest: slow no_asan no_tsan
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "cli/capsule.h"
#include "props/cli_test_tool.h"

namespace twinwire::props {
namespace {

// Slow, and with sixty numbers of which each matters: a minimiser is at it for a while.
struct Tangled {
  static constexpr std::string_view name = "tangled";
  static constexpr std::string_view summary = "fails by sixty numbers together";
  template <Transport T>
  static void run(laws::Env& env) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    (void)env.shape("needless", 12345);
    bool all = true;
    for (int i = 0; i < 60; ++i) all = 1'000'000 + env.draw(1'000'000) > 1'000'000 && all;
    env.judge().check(!all, "tangle", "all sixty are there");
  }
};

// Aborts once it has drawn more than 500 of 1,000, after a choice or two of the order.
struct Brittle {
  static constexpr std::string_view name = "brittle";
  static constexpr std::string_view summary = "aborts by a number";
  template <Transport T>
  static void run(laws::Env& env) {
    Scheduler& scheduler = env.node("somewhere").scheduler();
    run_scope(scheduler, [&](Scope& scope) {
      for (int i = 0; i < 5; ++i)
        scope.spawn("napper" + std::to_string(i), [&] {
          for (int n = 0; n < 3; ++n) (void)scheduler.sleep_for(std::chrono::milliseconds(1));
        });
    });
    const auto load = env.knob("load", 900, 1, 1000);
    TWINWIRE_CHECK(load <= 500, "the load is more than it bears");
  }
};

const std::pair<std::string, std::string> as_this_tool{test_tool_variable, "minimise"};

laws::Registry test_scenarios() {
  laws::Registry registry;
  registry.add<Calm>();
  registry.add<Lawless>();
  registry.add<Hanging>();
  registry.add<Deadlocked>();
  registry.add<Unsteady>();
  registry.add<Tangled>();
  registry.add<Brittle>();
  return registry;
}

class Minimise : public testing::Test {
 protected:
  Ended tool(const std::string& arguments) {
    return run_tool_in(path(), test_tool_path(), arguments, {as_this_tool});
  }
  Ended real(const std::string& arguments) { return run_tool_in(path(), tool_path(), arguments); }
  const std::filesystem::path& path() const { return folder_.path(); }

  // The capsule that a hunt over `scenario` keeps; the path is within the folder.
  std::string hunted(const std::string& scenario, const std::string& more = "") {
    const Ended ended =
        tool("hunt --seeds 1 --first-seed 7 --jobs 1 --scenario " + scenario + " " + more);
    EXPECT_NE(ended.exit_code, 0) << ended.out << ended.err;
    for (const auto& file : std::filesystem::directory_iterator(path() / "capsules"))
      return "capsules/" + file.path().filename().string();
    ADD_FAILURE() << ended.out << ended.err;
    return "none";
  }
  cli::Capsule capsule(const std::string& name) {
    return cli::load_capsule((path() / name).string());
  }

  TemporaryFolder folder_;
};

struct Planted {
  std::string plant;
  std::string transport;
  std::string scenario;
  std::size_t decisions_most;
};

class MinimisePlanted : public Minimise, public testing::WithParamInterface<Planted> {};

TEST_P(MinimisePlanted, bug_comes_down_to_a_few_decisions_and_replays_alike) {
  const Planted& param = GetParam();
  const Ended found = real("hunt --seeds 3000 --plant " + param.plant + " --transport " +
                           param.transport + " --scenario " + param.scenario);
  ASSERT_EQ(found.exit_code, 1) << found.out << found.err;
  std::string name;
  for (const auto& file : std::filesystem::directory_iterator(path() / "capsules"))
    name = "capsules/" + file.path().filename().string();
  const std::string before = read_file(path() / name);

  const Ended ended = real("minimise " + name + " --time 60s -o small.capsule");
  ASSERT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  const cli::Capsule original = capsule(name);
  const cli::Capsule small = capsule("small.capsule");
  EXPECT_EQ(small.key, original.key);
  EXPECT_EQ(small.plant, original.plant);
  EXPECT_LE(small.decisions.size(), param.decisions_most) << ended.out;
  EXPECT_EQ(small.was, original.decisions.size());
  EXPECT_EQ(read_file(path() / name), before) << "the original was touched";

  const Ended again = real("replay small.capsule --verify");
  EXPECT_EQ(again.exit_code, 1) << again.out << again.err;
  EXPECT_EQ(lines_with(again.out, "verified ").size(), 1U) << again.out;
  EXPECT_NE(again.out.find(small.key), std::string::npos) << again.out;

  EXPECT_FALSE(lines_with(ended.out, " → ").empty()) << ended.out;
  EXPECT_EQ(lines_with(ended.out, "LAW BROKEN: " + small.key.substr(11)).size(), 1U) << ended.out;
  const Ended told = real("story small.capsule");
  EXPECT_EQ(told.exit_code, 1) << told.err;
  EXPECT_NE(ended.out.find(told.out), std::string::npos) << told.out << ended.out;
}

INSTANTIATE_TEST_SUITE_P(
    Bugs, MinimisePlanted,
    testing::Values(Planted{"resume_at_wrong_offset", "tcp", "traffic", 1},
                    Planted{"close_without_bound", "tcp", "traffic", 4},
                    Planted{"yield_cut_off_message", "tcp", "traffic", 4},
                    Planted{"accept_unknown_command", "tcp", "strict_reader", 0},
                    Planted{"eof_without_close_notify_is_closed", "tls", "traffic", 3},
                    Planted{"bytes_behind_upgrade_lost", "ws", "traffic", 12},
                    Planted{"wss_drop_leaves_the_stream", "wss", "traffic", 8},
                    Planted{"quic_yield_out_of_order", "quic", "traffic", 3}),
    [](const auto& instance) { return instance.param.plant; });

// What a rule puts at an instant is asked for by that rule: without it the capsule would show nothing.
struct Scheduled {
  std::string hunt;
  std::string key;
  std::string kept;      // of the plan
  std::string left_out;  // of it
};

class MinimiseScheduled : public Minimise, public testing::WithParamInterface<Scheduled> {};

TEST_P(MinimiseScheduled, fault_keeps_its_rule_and_the_capsule_replays_alike) {
  const Scheduled& param = GetParam();
  const Ended found = real("hunt --jobs 1 " + param.hunt);
  ASSERT_EQ(found.exit_code, 1) << found.out << found.err;
  std::string name;
  for (const auto& file : std::filesystem::directory_iterator(path() / "capsules"))
    name = "capsules/" + file.path().filename().string();
  const Ended ended = real("minimise " + name + " --time 20s -o small.capsule");
  ASSERT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  const cli::Capsule small = capsule("small.capsule");
  EXPECT_EQ(small.key, param.key);
  EXPECT_NE(small.faults.find(param.kept), std::string::npos) << small.faults;
  EXPECT_EQ(small.faults.find(param.left_out), std::string::npos) << small.faults;
  EXPECT_EQ(lines_with(ended.out, "LAW BROKEN: " + small.key.substr(11)).size(), 1U) << ended.out;
  const Ended again = real("replay small.capsule --verify");
  EXPECT_EQ(again.exit_code, 1) << again.out << again.err;
  EXPECT_NE(again.out.find(small.key), std::string::npos) << again.out;
}

INSTANTIATE_TEST_SUITE_P(
    Faults, MinimiseScheduled,
    testing::Values(
        // Its rule has another number than in the plan that was hunted with.
        Scheduled{"--scenario restarts --set acknowledge_early=1 --seeds 40 --fault "
                  "segment_delay@server=0.2:1000000 --fault crash@server=1/1ms..5ms",
                  "law_broken:log_durable", "crash@server=1:2000000000/1ms..5ms", "segment_delay"},
        Scheduled{"--seeds 40 --plant yield_cut_off_message --fault early_fin=1:2000/1ms..9s",
                  "law_broken:prefix", "early_fin=1:2000/1ms..9s", "calm"}),
    [](const auto& instance) {
      return instance.param.kept.substr(0, instance.param.kept.find_first_of("@="));
    });

TEST_F(Minimise, lowers_a_number_by_which_a_process_dies) {
  const std::string name = hunted("brittle");
  const Ended ended = tool("minimise " + name + " --time 60s");
  ASSERT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  const std::string result = name.substr(0, name.rfind('.')) + ".min.capsule";
  const cli::Capsule small = capsule(result);
  EXPECT_EQ(small.key, "crash:SIGABRT");
  EXPECT_TRUE(small.decisions.empty());
  ASSERT_EQ(small.knobs.size(), 1U);
  EXPECT_EQ(small.knobs[0].name, "load");
  EXPECT_LE(small.knobs[0].value, 510);
  EXPECT_GT(small.knobs[0].value, 500);
  EXPECT_NE(ended.out.find("load 900 → "), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("crash:SIGABRT"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("the load is more than it bears"), std::string::npos) << ended.out;
  EXPECT_EQ(tool("replay " + result).exit_code, 4);
}

TEST_F(Minimise, minimises_a_hang_and_a_deadlock) {
  for (const std::string scenario : {"hanging", "deadlocked"}) {
    std::filesystem::remove_all(path() / "capsules");
    const std::string name = hunted(scenario, "--hang-after 300ms");
    const Ended ended =
        tool("minimise " + name + " --time 60s --hang-after 300ms -o small.capsule");
    ASSERT_EQ(ended.exit_code, 0) << ended.out << ended.err;
    const cli::Capsule small = capsule("small.capsule");
    EXPECT_TRUE(small.key.starts_with("no_progress:")) << small.key;
    EXPECT_TRUE(small.decisions.empty());
    // One nap is the fewest that it takes.
    EXPECT_EQ(lines_with(ended.out, "plan 1 → 0").empty(), false) << ended.out;
    EXPECT_EQ(tool("replay small.capsule --hang-after 300ms").exit_code, 3);
  }
}

TEST_F(Minimise, keeps_the_best_when_it_is_interrupted) {
  const std::string name = hunted("tangled");
  Process process(path(),
                  {test_tool_path(), "minimise", name, "--time", "10m", "-o", "small.capsule"},
                  {as_this_tool});
  ASSERT_TRUE(process.says(" s  decisions ")) << process.out() << process.err();
  process.signal(SIGINT);
  const Ended ended = process.wait();
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("interrupted, the best so far is kept"), std::string::npos) << ended.out;
  EXPECT_EQ(capsule("small.capsule").key, "law_broken:tangle");
  EXPECT_NE(read_file(path() / "small.capsule").find("knob needless=0"), std::string::npos);
  EXPECT_EQ(tool("replay small.capsule --verify").exit_code, 1);
}

TEST_F(Minimise, ends_when_its_time_is_over) {
  const std::string name = hunted("tangled");
  const auto began = std::chrono::steady_clock::now();
  const Ended ended = tool("minimise " + name + " --time 500ms -o small.capsule");
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(20));
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_NE(ended.out.find("the time was over, the best so far is kept"), std::string::npos);
  EXPECT_EQ(tool("replay small.capsule").exit_code, 1);
}

// Before the search, which may take as long as --time says.
TEST_F(Minimise, looks_first_whether_its_result_can_be_written) {
  const std::string name = hunted("tangled");
  write_file(path() / "taken", "a file, not a folder");
  const Ended missing = tool("minimise " + name + " -o no/such/small.capsule");
  expect_one_sentence(missing, 6,
                      "cannot write the capsule no/such/small.capsule: there is no folder no/such");
  EXPECT_EQ(missing.out, "");
  expect_one_sentence(tool("minimise " + name + " -o taken/small.capsule"), 6,
                      "cannot write the capsule taken/small.capsule: Not a directory");
  ASSERT_EQ(::mkfifo((path() / "fifo").c_str(), 0600), 0);
  const Ended fifo = tool("minimise " + name + " -o fifo");
  expect_one_sentence(fifo, 6, "cannot write the capsule fifo: it is not a regular file");
  EXPECT_EQ(fifo.out, "");
  EXPECT_TRUE(std::filesystem::is_fifo(path() / "fifo"));
  EXPECT_FALSE(std::filesystem::exists(path() / "no"));
}

TEST_F(Minimise, takes_a_seed_too) {
  const Ended ended = tool("minimise 7 --scenario lawless");
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(capsule("capsules/lawless-tcp-even_sevens-7.min.capsule").seed, 7U);
  expect_one_sentence(tool("minimise 8 --scenario lawless"), 2, "seed 8 does not fail");
}

TEST_F(Minimise, refuses_a_capsule_that_does_not_fail_any_more) {
  const std::string name = hunted("lawless");
  cli::Capsule healed = capsule(name);
  healed.scenario = "calm";
  cli::write_capsule(healed, (path() / "healed.capsule").string());
  expect_one_sentence(tool("minimise healed.capsule"), 2, "does not fail any more");
  healed.scenario = "deadlocked";
  cli::write_capsule(healed, (path() / "other.capsule").string());
  expect_one_sentence(tool("minimise other.capsule"), 2,
                      "gives no_progress:stuck and not law_broken:even_sevens");
  EXPECT_FALSE(std::filesystem::exists(path() / "healed.min.capsule"));
}

TEST_F(Minimise, refuses_a_run_that_its_seed_does_not_decide) {
  const std::string name = hunted("lawless");
  cli::Capsule unsteady = capsule(name);
  unsteady.scenario = "unsteady";
  unsteady.key = "law_broken:unsteady";
  cli::write_capsule(unsteady, (path() / "unsteady.capsule").string());
  const Ended ended = tool("minimise unsteady.capsule");
  EXPECT_EQ(ended.exit_code, 2) << ended.out << ended.err;
}

TEST_F(Minimise, refuses_damage_and_never_writes_over_the_original) {
  const std::string name = hunted("lawless");
  std::string text = read_file(path() / name);
  expect_one_sentence(tool("minimise " + name + " -o ./" + name), 2, "would overwrite the capsule");
  EXPECT_EQ(read_file(path() / name), text);
  text[text.find("seed 7") + 5] = '8';
  write_file(path() / "bad.capsule", text);
  expect_one_sentence(tool("minimise bad.capsule"), 2, "is damaged");
  expect_one_sentence(tool("story bad.capsule"), 2, "is damaged");
  expect_one_sentence(tool("minimise nowhere.capsule"), 2,
                      "cannot read the capsule nowhere.capsule");
  expect_one_sentence(tool("minimise " + name + " --time soon"), 2, "'soon' is no duration");
  expect_one_sentence(tool("minimise " + name + " --plant x"), 2,
                      "a capsule says itself what is run");
}

TEST_F(Minimise, says_so_where_the_result_cannot_be_written) {
  const std::string name = hunted("lawless");
  Process process(path(),
                  {"/bin/sh", "-c",
                   "(ulimit -f 0; trap '' XFSZ; exec " + test_tool_path() + " minimise " + name +
                       " -o small.capsule 2>&1; echo code $?) | cat"},
                  {as_this_tool});
  const Ended ended = process.wait();
  EXPECT_EQ(
      lines_with(ended.out, "twinwire: cannot write the capsule small.capsule: File too large")
          .size(),
      1U)
      << ended.out << ended.err;
  EXPECT_TRUE(std::filesystem::is_empty(path()) ||
              !std::filesystem::exists(path() / "small.capsule"));
  const Ended elsewhere = tool("minimise " + name + " -o /proc/nowhere/small.capsule");
  EXPECT_EQ(elsewhere.exit_code, 6) << elsewhere.out;
  EXPECT_EQ(
      lines_with(elsewhere.err, "cannot write the capsule /proc/nowhere/small.capsule").size(), 1U);
}

TEST_F(Minimise, story_of_a_seed_that_passes_says_so) {
  const Ended ended = real("story 1 --no-faults");
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_NE(ended.out.find("the story of pass, over tcp"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("connects to server"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("no law was broken"), std::string::npos) << ended.out;
}

TEST_F(Minimise, hunt_puts_what_it_finds_into_a_corpus_minimised) {
  const Ended ended = real("hunt --seeds 300 --plant swap_two_messages --corpus corpus --jobs 1");
  EXPECT_EQ(ended.exit_code, 1) << ended.err;
  EXPECT_EQ(
      lines_with(ended.out, "corpus: corpus/tcp-law_broken-prefix-swap_two_messages.capsule is new")
          .size(),
      1U)
      << ended.out << ended.err;
  const cli::Capsule kept = capsule("corpus/tcp-law_broken-prefix-swap_two_messages.capsule");
  EXPECT_TRUE(kept.of_decisions);
  EXPECT_TRUE(kept.cost.has_value());
  const Ended again = real("hunt --seeds 300 --plant swap_two_messages --corpus corpus --jobs 1");
  EXPECT_EQ(lines_with(again.out, "is there already").size(), 1U) << again.out;
}

const bool minimise_tool_is_there =
    test_tools()
        .emplace(as_this_tool.second,
                 [](int argc, char** argv) { return cli::tool_main(argc, argv, test_scenarios()); })
        .second;

}  // namespace
}  // namespace twinwire::props
