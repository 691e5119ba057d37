// SPDX-License-Identifier: Apache-2.0
// hunt --shard and merge, as they are used: GNU parallel runs the shards, and what they add up to is what the one hunt
// over all seeds prints.
// ctest: no_tsan timeout=300
#include <set>

#include <sys/stat.h>

#include "props/cli_test_tool.h"

namespace twinwire::props {
namespace {

// What must be the same with shards and without: the hashes, the faults, the failures; not the time.
std::string comparable(const std::string& out) {
  std::string text;
  for (const std::string& line : lines_with(out, "")) {
    const std::size_t hash = line.find("all hashes together");
    if (hash != std::string::npos) {
      text = line.substr(0, line.find(" in ")) + ": " + line.substr(hash) + "\n";
    } else if (!text.empty() && !line.starts_with("results ") &&
               line.find(".capsule") == std::string::npos) {
      text += line + "\n";
    }
  }
  while (text.ends_with("\n\n")) text.pop_back();
  return text;
}

class CliShard : public ::testing::Test {
 protected:
  void SetUp() override {
    const Ended probe = shell("parallel --version");
    if (probe.out.find("GNU parallel") == std::string::npos)
      GTEST_SKIP() << "Debian's package parallel is not installed";
  }
  Ended shell(const std::string& line) {
    return Process(folder.path(), {"/bin/sh", "-c", line}, {as_misbehaving_tool}).wait();
  }
  // All shards of one hunt, each a process of its own; the exit code is that of none of them.
  void hunt_in_shards(const std::string& tool, const std::string& arguments, int shards) {
    const std::string n = std::to_string(shards);
    const Ended ended =
        shell("seq " + n + " | parallel --will-cite --jobs 3 --joblog log '" + tool + " hunt " +
              arguments + " --jobs 1 --shard {}/" + n + " --results shard-{}.hunt'");
    EXPECT_EQ(ended.err, "");
    EXPECT_EQ(lines_with(ended.out, "shard ").size(), static_cast<std::size_t>(shards));
  }
  void remove_shards() { (void)shell("rm -f shard-*.hunt"); }

  const TemporaryFolder folder;
};

TEST_F(CliShard, the_shards_add_up_to_the_one_hunt) {
  struct Case {
    int seeds;
    int shards;
  };
  for (const auto& [seeds, shards] : {Case{61, 7}, Case{60, 6}, Case{5, 5}, Case{300, 2}}) {
    const std::string arguments =
        "--scenario traffic --first-seed 1000 --seeds " + std::to_string(seeds);
    const Ended whole = run_tool_in(folder.path(), tool_path(), "hunt " + arguments);
    EXPECT_EQ(whole.exit_code, 0) << whole.out << whole.err;
    hunt_in_shards(tool_path(), arguments, shards);
    const Ended merged = shell(tool_path() + " merge shard-*.hunt");
    EXPECT_EQ(merged.exit_code, 0) << merged.out << merged.err;
    EXPECT_EQ(comparable(merged.out), comparable(whole.out)) << seeds << " in " << shards;
    EXPECT_NE(comparable(merged.out).find("short_write"), std::string::npos) << merged.out;
    remove_shards();
  }
}

// The comparison above sees one seed too few, and one seed in the place of another.
TEST_F(CliShard, other_seeds_would_be_noticed) {
  std::set<std::string> seen;
  for (const char* seeds :
       {"--first-seed 1 --seeds 30", "--first-seed 1 --seeds 29", "--first-seed 2 --seeds 30"})
    seen.insert(comparable(
        run_tool_in(folder.path(), tool_path(), std::string("hunt --scenario traffic ") + seeds)
            .out));
  EXPECT_EQ(seen.size(), 3U);
}

TEST_F(CliShard, failures_are_merged_by_key_with_the_lowest_seed) {
  for (const char* scenario : {"lawless", "crashing", "calm"}) {
    const std::string arguments = std::string("--scenario ") + scenario + " --seeds 52";
    const Ended whole = run_test_tool(folder.path(), "hunt " + arguments);
    hunt_in_shards(test_tool_path(), arguments, 7);
    const Ended merged = shell(test_tool_path() + " merge shard-*.hunt");
    EXPECT_EQ(merged.exit_code, whole.exit_code) << merged.out << merged.err;
    EXPECT_EQ(comparable(merged.out), comparable(whole.out));
    remove_shards();
  }
}

// One seed in 256 runs twice, here 1 and 257. Seed 7, with which the second shard begins, is as unsteady as 257 and
// must not be found: the hunt over all does not run it twice.
TEST_F(CliShard, the_same_seeds_run_twice) {
  const std::string arguments = "--scenario unsteady --seeds 300";
  const Ended whole = run_test_tool(folder.path(), "hunt --jobs 1 " + arguments);
  hunt_in_shards(test_tool_path(), arguments, 50);
  const Ended merged = shell(test_tool_path() + " merge shard-*.hunt");
  for (const Ended* ended : {&whole, &merged}) {
    EXPECT_EQ(ended->exit_code, 5) << ended->out << ended->err;
    EXPECT_NE(ended->out.find("nondeterminism:hash in 1 seed, the lowest is seed 257\n"),
              std::string::npos)
        << ended->out;
  }
}

TEST_F(CliShard, more_shards_than_seeds_are_refused) {
  expect_one_sentence(
      run_tool_in(folder.path(), tool_path(), "hunt --seeds 5 --shard 1/6 --results it"), 2,
      "--shard 1/6 has no seeds: there are only 5");
  expect_one_sentence(run_tool_in(folder.path(), tool_path(), "hunt --seeds 5 --shard 6/5"), 2,
                      "'6/5' is no shard");
  expect_one_sentence(run_tool_in(folder.path(), tool_path(), "hunt --seeds 5 --shard 0/5"), 2,
                      "where a scheduler counts from 0, add 1");
  expect_one_sentence(run_tool_in(folder.path(), tool_path(), "hunt --time 1s --shard 1/5"), 2,
                      "--shard needs --seeds");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "it"));
}

TEST_F(CliShard, what_is_missing_is_named_and_is_no_success) {
  hunt_in_shards(test_tool_path(), "--scenario calm --seeds 31", 4);
  (void)shell("rm shard-3.hunt");
  const Ended merged = shell(test_tool_path() + " merge shard-*.hunt");
  EXPECT_EQ(merged.exit_code, 6) << merged.out << merged.err;
  EXPECT_NE(merged.out.find("shard 3/4, seeds 17 to 24: no file is of it\n"), std::string::npos)
      << merged.out;
  EXPECT_NE(merged.err.find("8 of 31 seeds are missing"), std::string::npos) << merged.err;
  const Ended partial = shell(test_tool_path() + " merge --partial shard-*.hunt");
  EXPECT_EQ(partial.exit_code, 0) << partial.out << partial.err;
  EXPECT_NE(partial.out.find("shard 3/4"), std::string::npos) << partial.out;
}

// A shard that found what it was to end at left seeds out; the exit code is that of what it found.
TEST_F(CliShard, the_end_at_a_failure_is_no_lack) {
  const std::string arguments = "hunt --scenario lawless --seeds 50000000 --failures 1 --shard ";
  for (const char* shard : {"1", "2"})
    EXPECT_EQ(
        run_test_tool(folder.path(), arguments + shard + "/2 --results shard-" + shard).exit_code,
        1);
  const Ended merged = shell(test_tool_path() + " merge shard-1 shard-2");
  EXPECT_EQ(merged.exit_code, 1) << merged.out << merged.err;
  EXPECT_NE(merged.out.find("shard-1 leaves them out (failures)"), std::string::npos) << merged.out;
  EXPECT_EQ(shell(test_tool_path() + " merge shard-1").exit_code, 6);
}

// In two stages, as where each machine adds up its own.
TEST_F(CliShard, a_sum_can_be_added_again) {
  hunt_in_shards(test_tool_path(), "--scenario lawless --seeds 31", 4);
  const Ended at_once = shell(test_tool_path() + " merge shard-*.hunt");
  EXPECT_EQ(
      shell(test_tool_path() + " merge --partial --results a shard-1.hunt shard-3.hunt").exit_code,
      1);
  EXPECT_EQ(
      shell(test_tool_path() + " merge --partial --results b shard-2.hunt shard-4.hunt").exit_code,
      1);
  const Ended in_two = shell(test_tool_path() + " merge b a");
  EXPECT_EQ(in_two.exit_code, 1) << in_two.out << in_two.err;
  EXPECT_EQ(comparable(in_two.out), comparable(at_once.out));
}

// A hunt that a limit of time cut off has holes where its workers were; it says what it did, to the seed.
TEST_F(CliShard, what_an_early_end_left_out_is_known_to_the_seed) {
  const std::string arguments = "hunt --scenario calm --seeds 100000000 --jobs 3 --hang-after 60s";
  const Ended cut = run_test_tool(folder.path(), arguments + " --time 300ms --results cut.hunt");
  EXPECT_EQ(cut.exit_code, 0) << cut.out << cut.err;
  const auto ran = lines_with(read_file(folder.path() / "cut.hunt"), "ran ");
  ASSERT_FALSE(ran.empty());
  const Ended merged = run_test_tool(folder.path(), "merge --partial cut.hunt");
  EXPECT_EQ(merged.exit_code, 0) << merged.out << merged.err;
  EXPECT_EQ(comparable(merged.out).substr(0, comparable(cut.out).size()), comparable(cut.out));
  EXPECT_EQ(run_test_tool(folder.path(), "merge cut.hunt").exit_code, 6);
  // Its hash is that of the seeds which it names, and of no others.
  std::uint64_t sum = 0;
  for (const std::string& line : ran) {
    const Ended again =
        run_test_tool(folder.path(), "hunt --scenario calm --first-seed " + words(line).at(1) +
                                         " --seeds " + words(line).at(2));
    const std::string hash = again.out.substr(again.out.find("all hashes together ") + 20, 16);
    sum += std::stoull(hash, nullptr, 16);
  }
  const std::string hash = cut.out.substr(cut.out.find("all hashes together ") + 20, 16);
  EXPECT_EQ(sum, std::stoull(hash, nullptr, 16)) << read_file(folder.path() / "cut.hunt");
}

TEST_F(CliShard, a_knob_that_one_shard_alone_reads_is_read) {
  // Of the seeds 1 to 20 only 7 and 17 read it.
  hunt_in_shards(test_tool_path(), "--scenario calm --seeds 20 --set depth=4", 20);
  EXPECT_EQ(shell(test_tool_path() + " merge shard-*.hunt").exit_code, 0);
  (void)shell("rm shard-7.hunt shard-17.hunt");
  expect_one_sentence(shell(test_tool_path() + " merge --partial shard-*.hunt"), 2,
                      "read the knob 'depth'");
}

TEST_F(CliShard, a_place_that_cannot_be_written_is_said_before_the_hunt) {
  write_file(folder.path() / "taken", "a file, not a folder");
  expect_one_sentence(
      run_test_tool(folder.path(), "hunt --scenario calm --seeds 9 --results taken/it"), 6,
      "cannot write the result of the hunt taken/it");
  const Ended folder_itself =
      run_test_tool(folder.path(), "hunt --scenario calm --seeds 9 --results .");
  expect_one_sentence(folder_itself, 6, "it is a folder");
  expect_one_sentence(
      run_test_tool(folder.path(), "hunt --scenario calm --seeds 9 --results no/such/it"), 6,
      "cannot write the result of the hunt no/such/it: there is no folder no/such");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "no"));
}

// A file that took their place would cost whoever runs this as root the machine's /dev/null.
TEST_F(CliShard, what_is_no_file_is_neither_written_nor_replaced) {
  ASSERT_EQ(run_test_tool(folder.path(), "hunt --scenario calm --seeds 9 --results it").exit_code,
            0);
  ASSERT_EQ(::mkfifo((folder.path() / "fifo").c_str(), 0600), 0);
  std::filesystem::create_symlink("fifo", folder.path() / "to-fifo");
  std::filesystem::create_symlink("/dev/full", folder.path() / "to-device");
  for (const std::string place : {"fifo", "to-fifo", "to-device"})
    for (const char* verb : {"hunt --scenario calm --seeds 9 --results ", "merge it --results "}) {
      SCOPED_TRACE(verb + place);
      const Ended ended = run_test_tool(folder.path(), verb + place);
      expect_one_sentence(ended, 6, place + ": it is not a regular file");
      EXPECT_EQ(ended.out, "");
    }
  EXPECT_TRUE(std::filesystem::is_fifo(folder.path() / "fifo"));
  EXPECT_EQ(std::filesystem::read_symlink(folder.path() / "to-fifo"), "fifo");
  EXPECT_EQ(std::filesystem::read_symlink(folder.path() / "to-device"), "/dev/full");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
}

TEST_F(CliShard, a_symlink_is_written_through) {
  const std::filesystem::path at = folder.path();
  std::filesystem::create_directory(at / "kept");
  write_file(at / "kept" / "there", "the one before");
  std::filesystem::create_symlink("kept/there", at / "to-there");
  std::filesystem::create_symlink("to-there", at / "to-it-twice");
  std::filesystem::create_symlink("kept/new", at / "to-new");
  std::filesystem::create_symlink("to-itself", at / "to-itself");
  for (const std::string place : {"to-it-twice", "to-new"}) {
    SCOPED_TRACE(place);
    EXPECT_EQ(run_test_tool(at, "hunt --scenario calm --seeds 9 --results " + place).exit_code, 0);
    EXPECT_TRUE(std::filesystem::is_symlink(at / place));
    EXPECT_EQ(run_test_tool(at, "merge " + place).exit_code, 0);
  }
  EXPECT_NE(read_file(at / "kept" / "there"), "the one before");
  EXPECT_TRUE(std::filesystem::is_regular_file(at / "kept" / "new"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(at / "kept"), {}), 2);
  expect_one_sentence(run_test_tool(at, "hunt --scenario calm --seeds 9 --results to-itself"), 6,
                      "Too many levels of symbolic links");
}

// The disk fills up while it hunts: what was found is printed all the same.
TEST_F(CliShard, a_full_disk_costs_the_file_and_not_the_finding) {
  const Ended ended = shell("(trap '' XFSZ; ulimit -f 0; exec " + test_tool_path() +
                            " hunt --scenario lawless --seeds 9 --results it) 2>&1 | cat");
  EXPECT_NE(ended.out.find("the lowest is seed 7\n"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("cannot write the result of the hunt it: File too large\n"),
            std::string::npos)
      << ended.out;
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "it"));
}

TEST_F(CliShard, what_is_no_result_is_one_sentence) {
  write_file(folder.path() / "text", "hello\n");
  expect_one_sentence(run_test_tool(folder.path(), "merge text"), 2, "text is no result of a hunt");
  expect_one_sentence(run_test_tool(folder.path(), "merge none"), 2,
                      "cannot read the result of a hunt none");
  expect_one_sentence(run_test_tool(folder.path(), "merge ."), 2, "it is not a regular file");
}

}  // namespace
}  // namespace twinwire::props
