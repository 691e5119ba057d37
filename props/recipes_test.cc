// SPDX-License-Identifier: Apache-2.0
// The recipes of docs/hunting.md are run as they stand, with few seeds and with what their scheduler would have set:
// what they do must be a hunt whose shards add up.
// ctest: no_asan no_tsan timeout=300
#include <set>
#include <sstream>

#include "props/cli_process.h"

namespace twinwire::props {
namespace {

const std::string python = "/usr/bin/python3";
const std::filesystem::path recipes = std::filesystem::current_path() / "docs" / "recipes";

using Environment = std::vector<std::pair<std::string, std::string>>;

// The last: shards may have printed theirs before the merge.
std::string all_hashes(const std::string& out) {
  const std::size_t at = out.rfind("all hashes together ");
  return at == std::string::npos ? "none in:\n" + out : out.substr(at + 20, 16);
}

class Recipes : public ::testing::Test {
 protected:
  void SetUp() override {
    if (Process(folder.path(), {python, "-c", "import yaml"}).wait().exit_code != 0)
      GTEST_SKIP() << "Debian's package python3-yaml is not installed";
    std::filesystem::create_directory(folder.path() / "bin");
    std::filesystem::create_symlink(tool_path(), folder.path() / "bin" / "twinwire");
    path = (folder.path() / "bin").string() + ":/usr/bin:/bin";
  }

  std::string ask(const std::string& arguments) {
    const std::string script = (recipes.parent_path().parent_path() / "props/recipes.py").string();
    const Ended ended = run_tool_in(folder.path(), python, "-B " + script + " " + arguments);
    EXPECT_EQ(ended.exit_code, 0) << arguments << ": " << ended.out << ended.err;
    return ended.out;
  }
  Ended sh(const std::string& script, Environment environment) {
    environment.emplace_back("PATH", path);
    environment.emplace_back("TWINWIRE", tool_path());
    return Process(folder.path(), {"/bin/sh", "-c", script}, environment).wait();
  }
  // The hunt over the same seeds without shards.
  std::string hash_of_whole(const std::string& first_seed) {
    return all_hashes(run_tool_in(folder.path(), tool_path(),
                                  "hunt --scenario traffic --transport tcp --seeds 31 "
                                  "--first-seed " +
                                      first_seed)
                          .out);
  }

  const TemporaryFolder folder;
  std::string path;
};

TEST_F(Recipes, are_these_and_no_others) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(recipes))
    names.insert(entry.path().filename().string());
  EXPECT_EQ(names,
            (std::set<std::string>{"everything.sh", "hunt.kubernetes.yaml", "hunt.parallel.sh",
                                   "hunt.slurm.sh", "nightly.github.yaml"}))
      << "a new recipe needs a test here";
  EXPECT_EQ(ask("check"), "\n");
}

TEST_F(Recipes, github_the_shards_of_a_night_are_one_hunt) {
  const std::string hunt = ask("job nightly.github.yaml hunt");
  const Environment night = {{"SEEDS", "31"}, {"FIRST_SEED", "202611260000000"}, {"SHARDS", "4"}};
  for (const char* shard : {"1", "2", "3", "4"}) {
    Environment environment = night;
    environment.emplace_back("SHARD", shard);
    const Ended ended = sh(hunt, environment);
    EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  }
  const Ended merged = sh(ask("job nightly.github.yaml merge"), night);
  EXPECT_EQ(merged.exit_code, 0) << merged.out << merged.err;
  EXPECT_EQ(all_hashes(merged.out), hash_of_whole("202611260000000"));
  std::filesystem::remove(folder.path() / "found" / "3.hunt");
  EXPECT_EQ(sh(ask("job nightly.github.yaml merge"), night).exit_code, 6);
}

TEST_F(Recipes, github_what_a_night_finds_is_minimised_and_makes_it_red) {
  const Environment night = {{"SEEDS", "12"},
                             {"FIRST_SEED", "1"},
                             {"SHARDS", "1"},
                             {"SHARD", "1"},
                             {"HUNT", "--scenario traffic --plant resume_at_wrong_offset"}};
  EXPECT_EQ(sh(ask("job nightly.github.yaml hunt"), night).exit_code, 1);
  const Ended merged = sh(ask("job nightly.github.yaml merge"), night);
  EXPECT_EQ(merged.exit_code, 1) << merged.out << merged.err;
  EXPECT_NE(merged.out.find("law_broken:"), std::string::npos) << merged.out;
  std::size_t minimised = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(folder.path() / "found" / "minimised")) {
    ++minimised;
    const Ended replay = run_tool_in(folder.path(), tool_path(), "replay " + entry.path().string());
    EXPECT_EQ(replay.exit_code, 1) << replay.out << replay.err;
  }
  EXPECT_EQ(minimised, 1U);
}

TEST_F(Recipes, github_no_two_days_share_a_seed) {
  const std::string workflow = read_file(recipes / "nightly.github.yaml");
  const std::string line = "$(($(date -u +%Y%m%d) * 10000000))";
  ASSERT_NE(workflow.find(line), std::string::npos);
  const auto seed_of = [&](const std::string& day) {
    const Ended ended = sh("date() { /bin/date -d " + day + " \"$@\"; }; echo " + line, {});
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
    return std::stoull(ended.out);
  };
  EXPECT_EQ(seed_of("2026-11-26"), 202611260000000U);
  EXPECT_GE(seed_of("2026-12-01") - seed_of("2026-11-30"), 4000000U);
}

TEST_F(Recipes, kubernetes_the_indexes_of_a_job_are_the_shards) {
  const std::string hunt = ask("job hunt.kubernetes.yaml twinwire-hunt");
  Environment job = {{"SEEDS", "31"}, {"SHARDS", "3"}, {"OUT", "volume"}, {"JOBS", "1"}};
  for (const char* index : {"0", "1", "2"}) {
    Environment environment = job;
    environment.emplace_back("JOB_COMPLETION_INDEX", index);
    const Ended ended = sh(hunt, environment);
    EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  }
  const Ended merged = sh(ask("job hunt.kubernetes.yaml twinwire-merge"), job);
  EXPECT_EQ(merged.exit_code, 0) << merged.out << merged.err;
  EXPECT_EQ(all_hashes(merged.out), hash_of_whole("1"));
}

// What was found again would be found again by a pod that is started again; a bad argument would not.
TEST_F(Recipes, kubernetes_a_finding_does_not_fail_the_pod_and_bad_usage_does) {
  const std::string hunt = ask("job hunt.kubernetes.yaml twinwire-hunt");
  Environment job = {{"SEEDS", "12"},
                     {"SHARDS", "1"},
                     {"OUT", "volume"},
                     {"JOBS", "1"},
                     {"JOB_COMPLETION_INDEX", "0"}};
  Environment planted = job;
  planted.emplace_back("HUNT", "--scenario traffic --plant resume_at_wrong_offset");
  const Ended found = sh(hunt, planted);
  EXPECT_EQ(found.exit_code, 0) << found.out << found.err;
  EXPECT_NE(found.out.find("law_broken:"), std::string::npos) << found.out;
  job.emplace_back("HUNT", "--scenario nowhere");
  EXPECT_EQ(sh(hunt, job).exit_code, 2);
}

TEST_F(Recipes, slurm_the_tasks_of_an_array_are_the_shards) {
  const std::string script = (recipes / "hunt.slurm.sh").string();
  const auto lines = lines_with(read_file(script), "#SBATCH --array=");
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_TRUE(lines[0].starts_with("#SBATCH --array=1-")) << "shards count from 1: " << lines[0];
  for (const char* task : {"1", "2", "3"}) {
    const Ended ended =
        sh("sh " + script + " --scenario traffic --transport tcp",
           {{"SEEDS", "31"}, {"SLURM_ARRAY_TASK_ID", task}, {"SLURM_ARRAY_TASK_COUNT", "3"}});
    EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  }
  const Ended merged = sh("twinwire merge hunted/*.hunt", {});
  EXPECT_EQ(merged.exit_code, 0) << merged.out << merged.err;
  EXPECT_EQ(all_hashes(merged.out), hash_of_whole("1"));
}

// On this machine alone: `:` is a host that parallel reaches without ssh.
TEST_F(Recipes, parallel_the_shards_of_all_hosts_are_one_hunt) {
  if (sh("parallel --version", {}).out.find("GNU parallel") == std::string::npos)
    GTEST_SKIP() << "Debian's package parallel is not installed";
  const Ended ended =
      sh("sh " + (recipes / "hunt.parallel.sh").string() + " --scenario traffic --transport tcp",
         {{"SEEDS", "31"}, {"SHARDS", "3"}, {"HOSTS", ":"}});
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_EQ(all_hashes(ended.out), hash_of_whole("1"));
}

TEST_F(Recipes, everything_is_each_scenario_over_each_transport) {
  const Ended ended =
      sh("sh " + (recipes / "everything.sh").string(), {{"SEEDS", "150"}, {"OUT", "all"}});
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_NE(ended.out.find(" per second"), std::string::npos) << ended.out;
  const Ended names = sh("$TWINWIRE list --names scenarios --transport quic", {});
  std::istringstream scenarios(names.out);
  std::size_t count = 0;
  for (std::string scenario; scenarios >> scenario; ++count)
    EXPECT_TRUE(std::filesystem::exists(folder.path() / "all" / (scenario + "-quic.hunt")))
        << scenario;
  EXPECT_GE(count, 10U) << names.out;
  // Whoever finds something says so.
  EXPECT_NE(sh("sh " + (recipes / "everything.sh").string(),
               {{"SEEDS", "150"}, {"OUT", "all"}, {"PLANT", "--plant resume_at_wrong_offset"}})
                .exit_code,
            0);
}

TEST_F(Recipes, what_the_document_shows_can_be_typed) {
  if (sh("parallel --version", {}).out.find("GNU parallel") == std::string::npos)
    GTEST_SKIP() << "Debian's package parallel is not installed";
  const std::string blocks = ask("blocks docs/hunting.md");
  EXPECT_NE(blocks.find("twinwire merge"), std::string::npos) << blocks;
  const Ended ended = sh(blocks, {});
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
}

}  // namespace
}  // namespace twinwire::props
