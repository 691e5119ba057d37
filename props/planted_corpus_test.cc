// SPDX-License-Identifier: Apache-2.0
// Every capsule of props/corpus/ once more, the quickest first. One of a planted bug still shows it, and is green
// without it; one of a bug that was mended is green. And the check itself: what can be wrong with a capsule is said.
// ctest: no_asan no_tsan
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "cli/corpus.h"
#include "props/cli_process.h"

namespace twinwire::cli {
namespace {

// A scenario that no transport can please.
struct Broken {
  static constexpr std::string_view name = "broken";
  static constexpr std::string_view summary = "breaks a law whatever happens";
  template <Transport T>
  static void run(laws::Env& env) {
    env.judge().violate("always", "on purpose");
  }
};

const laws::Registry& scenarios() {
  static const laws::Registry registry = [] {
    laws::Registry all = laws::built_in_scenarios();
    all.add<Broken>();
    return all;
  }();
  return registry;
}

Tool tool() {
  Tool tool{&scenarios(), {}, 0, nullptr, "twinwire"};
  for (const plant::Entry& entry : plant::catalogue())
    tool.plants.plants.push_back({entry.name, entry.what, entry.law, entry.transport});
  tool.plants.activate = &plant::activate;
  return tool;
}

std::vector<std::string> complaints(const CorpusEntry& entry) {
  return complaints_about(tool(), entry, std::chrono::seconds(10));
}

std::string only_complaint(const Capsule& capsule) {
  const auto all = complaints({"it", capsule});
  EXPECT_EQ(all.size(), 1U);
  return all.empty() ? "" : all.front();
}

class Corpus : public testing::TestWithParam<CorpusEntry> {};

TEST_P(Corpus, is_as_it_should_be) {
  for (const std::string& complaint : complaints(GetParam())) ADD_FAILURE() << complaint;
}

TEST_P(Corpus, is_named_for_its_failure) {
  const CorpusEntry& entry = GetParam();
  EXPECT_EQ(std::filesystem::path(entry.path).filename().string(), corpus_name(entry.capsule));
  EXPECT_TRUE(entry.capsule.of_decisions) << "it was not minimised";
  EXPECT_TRUE(entry.capsule.cost.has_value() || entry.capsule.key.starts_with("crash:"));
}

std::string test_name(const testing::TestParamInfo<CorpusEntry>& info) {
  std::string name = std::to_string(info.index) + "_";
  for (const char c : std::filesystem::path(info.param.path).stem().string())
    name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Kept, Corpus, testing::ValuesIn(load_corpus(default_corpus)), test_name);

TEST(CorpusFolder, holds_planted_bugs_over_every_transport_the_quickest_first) {
  const auto entries = load_corpus(default_corpus);
  std::set<std::string> transports;
  std::set<std::string> plants;
  std::uint64_t cost = 0;
  for (const CorpusEntry& entry : entries) {
    transports.insert(entry.capsule.transport);
    if (!entry.capsule.plant.empty()) plants.insert(entry.capsule.plant);
    EXPECT_GE(entry.capsule.cost.value_or(UINT64_MAX), cost);
    cost = entry.capsule.cost.value_or(UINT64_MAX);
  }
  EXPECT_EQ(transports.size(), laws::transport_count);
  EXPECT_GE(plants.size(), 8U);
}

Capsule planted_one() {
  for (const CorpusEntry& entry : load_corpus(default_corpus))
    if (entry.capsule.plant == "resume_at_wrong_offset") return entry.capsule;
  ADD_FAILURE() << "the capsule that these tests spoil is not in the corpus";
  return {};
}

TEST(CorpusCheck, names_a_capsule_that_does_not_show_its_bug) {
  Capsule capsule = planted_one();
  capsule.plant =
      "swap_two_messages";  // live, and another bug: of one message there is nothing to swap
  EXPECT_NE(only_complaint(capsule).find("does not show its planted bug any more"),
            std::string::npos);
}

TEST(CorpusCheck, names_a_capsule_that_fails_without_its_bug_too) {
  Capsule capsule = planted_one();
  capsule.scenario = Broken::name;
  capsule.key = "law_broken:always";
  capsule.knobs.clear();
  capsule.decisions.clear();
  EXPECT_NE(only_complaint(capsule).find("fails without its planted bug, too: law_broken:always"),
            std::string::npos);
}

TEST(CorpusCheck, names_a_stale_capsule) {
  Capsule capsule = planted_one();
  for (std::uint64_t i = 0; i < 10; ++i)
    capsule.decisions.push_back({sim::Site::short_read, 123, i, 1});
  EXPECT_NE(only_complaint(capsule).find("is stale"), std::string::npos);
}

TEST(CorpusCheck, a_mended_bug_is_green_and_one_that_came_back_is_named) {
  Capsule capsule = planted_one();
  capsule.plant.clear();
  EXPECT_TRUE(complaints({"it", capsule}).empty());
  ASSERT_TRUE(plant::activate("resume_at_wrong_offset"));
  const std::string complaint = only_complaint(capsule);
  plant::activate("");
  EXPECT_NE(complaint.find("was not mended, or came back: law_broken:prefix"), std::string::npos);
}

TEST(CorpusFolder, keeps_one_of_a_kind_and_the_quicker_of_two) {
  const props::TemporaryFolder folder;
  Capsule capsule = planted_one();
  capsule.cost = 100;
  EXPECT_NE(add_to_corpus(capsule, folder.path()).find("is new"), std::string::npos);
  capsule.seed = 2;
  EXPECT_NE(add_to_corpus(capsule, folder.path()).find("there already"), std::string::npos);
  EXPECT_NE(load_corpus(folder.path()).front().capsule.seed, 2U);
  capsule.cost = 50;
  EXPECT_NE(add_to_corpus(capsule, folder.path()).find("the place of a slower one"),
            std::string::npos);
  capsule.transport = "tls";
  capsule.cost = 10;
  EXPECT_NE(add_to_corpus(capsule, folder.path()).find("is new"), std::string::npos);
  const auto entries = load_corpus(folder.path());
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].capsule.transport, "tls");
  EXPECT_EQ(entries[1].capsule.seed, 2U);
}

TEST(CorpusFolder, refuses_a_damaged_capsule_and_a_missing_folder_in_a_sentence) {
  const props::TemporaryFolder folder;
  std::ofstream(folder.path() / "bad.capsule") << "twinwire-capsule 1\nnonsense\n";
  EXPECT_THROW((void)load_corpus(folder.path()), Failure);
  EXPECT_THROW((void)load_corpus(folder.path() / "nowhere"), Failure);
}

}  // namespace
}  // namespace twinwire::cli
