// SPDX-License-Identifier: Apache-2.0
// The result of a hunt as a file: what goes in comes out, damage is refused, and only results of one hunt add up.
// ctest: no_tsan
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "cli/hunt_sum.h"
#include "cli/sealed_text.h"
#include "cli/whole_file.h"
#include "props/cli_process.h"

namespace twinwire::props {
namespace {

using cli::HuntResult;
using cli::NamedResult;

HuntResult sample_result() {
  HuntResult result;
  result.build = 0x0123456789abcdef;
  result.versions = {{"compiler", "g++ 12.2.0"}, {"boost", "1.81.0"}};
  result.spec.faults = {"short_write=0.1:20", "partition@a<>b=0.5"};
  result.spec.base = cli::RunSpec::Base::none;
  result.spec.knobs = {{"messages", 200}, {"skew", -5}};
  result.spec.plant = "drop_by_fin";
  result.seeds = {20261126000000, 100};
  result.shard = cli::Shard{2, 3};
  result.ran = {{20261126000034, 10}, {20261126000050, 17}};
  result.ended = "time";
  result.took = Duration(1234567890);
  result.hash_sum = UINT64_MAX;
  result.counters = {{"fault.short_write", {812, 90, 75, 9}},
                     {"knob.messages", {1}},
                     {"what.comes.later", {1, 2, 3, 4, 5, UINT64_MAX}}};
  result.failures = {{"law_broken:prefix", 20261126000035, 2, "capsules/a b.capsule", "one\ntwo"},
                     {"crash:a law with spaces", 20261126000051, 1, "", ""}};
  return result;
}

std::string sealed_lines(const std::string& lines) {
  return cli::sealed("twinwire-hunt 1\nscenario traffic\ntransport tcp\nseeds 1 100\n" +
                     ("hash 0000000000000000\n" + lines));
}

std::string refusal_of(const std::string& text) {
  try {
    (void)cli::decode_hunt_result(text, "it");
  } catch (const cli::Failure& failure) {
    EXPECT_EQ(failure.code(), cli::ExitCode::bad_usage);
    return failure.what();
  }
  return "accepted";
}

std::string refusal_of(const std::vector<NamedResult>& results) {
  try {
    (void)cli::sum_of(results);
  } catch (const cli::Failure& failure) {
    EXPECT_EQ(failure.code(), cli::ExitCode::bad_usage);
    return failure.what();
  }
  return "accepted";
}

// Two halves of one hunt.
std::vector<NamedResult> halves() {
  HuntResult first = sample_result();
  HuntResult second = sample_result();
  first.shard = cli::Shard{1, 2};
  second.shard = cli::Shard{2, 2};
  first.ran = {part_of(first.seeds, *first.shard)};
  second.ran = {part_of(second.seeds, *second.shard)};
  return {{"first.hunt", first}, {"second.hunt", second}};
}

TEST(HuntResult, comes_out_as_it_went_in) {
  const HuntResult in = sample_result();
  const HuntResult out = cli::decode_hunt_result(encode(in), "it");
  EXPECT_EQ(encode(out), encode(in));
  EXPECT_EQ(out.spec.arguments(), in.spec.arguments());
  EXPECT_EQ(out.seeds, in.seeds);
  EXPECT_EQ(out.shard, in.shard);
  EXPECT_EQ(out.ran, in.ran);
  EXPECT_EQ(out.ended, "time");
  EXPECT_EQ(out.took, in.took);
  EXPECT_EQ(out.hash_sum, in.hash_sum);
  EXPECT_EQ(out.counters, in.counters);
  ASSERT_EQ(out.failures.size(), 2U);
  EXPECT_EQ(out.failures[0].capsule, "capsules/a b.capsule");
  EXPECT_EQ(out.failures[0].detail, "one\ntwo");
  EXPECT_EQ(out.failures[1].key, "crash:a law with spaces");
  EXPECT_EQ(out.failures[1].seed, 20261126000051U);
}

TEST(HuntResult, cut_anywhere_or_with_any_byte_changed_it_is_refused) {
  const std::string text = encode(sample_result());
  for (std::size_t i = 0; i < text.size(); ++i) {
    EXPECT_NE(refusal_of(text.substr(0, i)), "accepted") << i;
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_NE(refusal_of(damaged), "accepted") << i;
  }
}

TEST(HuntResult, what_makes_no_sense_is_named) {
  EXPECT_EQ(refusal_of(sealed_lines("")), "accepted");
  EXPECT_EQ(refusal_of("twinwire-capsule 1\n"),
            "it is no result of a hunt: it does not begin with 'twinwire-hunt'");
  EXPECT_EQ(refusal_of("twinwire-hunt 2\n"),
            "the result of a hunt it has format 2, and this build reads format 1 only");
  const std::pair<const char*, const char*> lines[] = {
      {"colour blue\n", "line 6 is not known to format 1"},
      {"seeds 1 100\n", "says 'seeds' a second time"},
      {"ran 1\n", "holds no first seed and number"},
      {"ran 1 x\n", "holds no number of seeds"},
      {"ran 5 10\nran 14 1\n", "ran seeds twice, or others than its own: 14"},
      {"ran 91 11\n", "ran seeds twice, or others than its own: 91 to 101"},
      {"ran 1 0\n", "ran seeds twice, or others than its own"},
      {"ran 18446744073709551615 2\n", "goes beyond the last seed"},
      {"shard 4/3\n", "is no shard"},
      {"shard 1/101\n", "is of a shard that has no seeds"},
      {"chance maybe\n", "says neither 'swarm' nor 'all' nor 'none'"},
      {"counter alone\n", "is no counter"},
      {"counter a -1\n", "holds no number to count"},
      {"counter a 1\ncounter a 2\n", "counts 'a' a second time"},
      {"failure 7 2\n", "is no failure"},
      {"detail of nothing\n", "comes before any failure"},
  };
  for (const auto& [line, said] : lines)
    EXPECT_NE(refusal_of(sealed_lines(line)).find(said), std::string::npos)
        << line << refusal_of(sealed_lines(line));
  EXPECT_EQ(refusal_of(cli::sealed("twinwire-hunt 1\nscenario traffic\n")),
            "the result of a hunt it has no line 'transport'");
}

TEST(HuntResult, a_counter_that_nobody_here_knows_is_added_up_all_the_same) {
  const HuntResult sum = cli::sum_of(halves());
  EXPECT_EQ(sum.counters.at("what.comes.later"),
            (std::vector<std::uint64_t>{2, 4, 6, 8, 10, UINT64_MAX * 2}));
  const HuntResult again = cli::decode_hunt_result(encode(sum), "it");
  EXPECT_EQ(again.counters, sum.counters);
  auto results = halves();
  results[1].result.counters["what.comes.later"].pop_back();
  EXPECT_EQ(refusal_of(results),
            "the result of a hunt second.hunt counts 'what.comes.later' in another way than those "
            "before it");
}

TEST(HuntResult, faults_go_into_counters_and_come_back) {
  cli::FaultTallies faults{};
  faults[0] = {{1, 2, 3}, 4};
  faults[sim::site_count - 1] = {{5, 6, 7}, 8};
  HuntResult result;
  put_faults(result, faults);
  const cli::FaultTallies back = faults_of(result);
  EXPECT_EQ(cli::format_faults(back, 1), cli::format_faults(faults, 1));
  result.counters["fault.wormhole"] = {1, 1, 1, 1};
  EXPECT_THROW((void)faults_of(result), cli::Failure);
}

TEST(HuntResult, what_is_not_of_one_hunt_is_not_added) {
  EXPECT_EQ(refusal_of(halves()), "accepted");
  const auto with = [&](auto change) {
    auto results = halves();
    change(results[1].result);
    return refusal_of(results);
  };
  EXPECT_EQ(with([](HuntResult& r) { r.build = 1; }),
            "first.hunt and second.hunt are not of one hunt: the build is 0123456789abcdef there, "
            "0000000000000001 here");
  EXPECT_EQ(with([](HuntResult& r) { r.seeds.count = 99; }),
            "first.hunt and second.hunt are not of one hunt: the seeds are 20261126000000 to "
            "20261126000099 there, 20261126000000 to 20261126000098 here");
  for (auto change : {+[](HuntResult& r) { r.spec.scenario = "calm"; },
                      +[](HuntResult& r) { r.spec.transport = "ws"; },
                      +[](HuntResult& r) { r.spec.base = cli::RunSpec::Base::swarm; },
                      +[](HuntResult& r) { r.spec.faults.pop_back(); },
                      +[](HuntResult& r) { r.spec.knobs[1].value = 5; },
                      +[](HuntResult& r) { r.spec.plant.clear(); }})
    EXPECT_NE(with(change).find("not of one hunt: the arguments are --scenario"), std::string::npos)
        << with(change);
}

TEST(HuntResult, a_seed_that_ran_in_both_is_named) {
  auto results = halves();
  results[1].result.ran = {{20261126000040, 20}};
  EXPECT_EQ(refusal_of(results),
            "first.hunt and second.hunt both ran the seeds 20261126000040 to 20261126000049: give "
            "each shard once");
}

TEST(HuntResult, the_capsule_is_that_of_the_lowest_seed) {
  auto results = halves();
  results[1].result.failures[0].seed = 20261126000002;
  results[1].result.failures[0].capsule = "of the second";
  const HuntResult sum = cli::sum_of(results);
  ASSERT_EQ(sum.failures.size(), 2U);
  EXPECT_EQ(sum.failures[0].key, "law_broken:prefix");
  EXPECT_EQ(sum.failures[0].seed, 20261126000002U);
  EXPECT_EQ(sum.failures[0].count, 4U);
  EXPECT_EQ(sum.failures[0].capsule, "of the second");
  EXPECT_EQ(sum.took, Duration(2 * 1234567890LL));
}

TEST(HuntResult, a_shard_that_ended_early_says_why_and_whole_ones_between_are_named) {
  std::vector<NamedResult> results;
  for (const std::uint64_t index : {1, 4}) {
    HuntResult result = sample_result();
    result.shard = cli::Shard{index, 5};
    result.ran = {part_of(result.seeds, *result.shard)};
    result.ended.clear();
    results.push_back({std::to_string(index) + ".hunt", result});
  }
  results[0].result.ended = "interrupt";
  results[0].result.ran[0].count = 15;
  std::vector<std::string> lines;
  for (const cli::MissingSeeds& missing : missing_seeds(cli::sum_of(results), results)) {
    EXPECT_FALSE(missing.after_failures);
    lines.push_back(missing.line);
  }
  EXPECT_EQ(lines, (std::vector<std::string>{
                       "shard 1/5, seeds 20261126000015 to 20261126000019: 1.hunt leaves them out "
                       "(interrupt)",
                       "shard 2/5, seeds 20261126000020 to 20261126000039: no file is of it",
                       "shard 3/5, seeds 20261126000040 to 20261126000059: no file is of it",
                       "shard 5/5, seeds 20261126000080 to 20261126000099: no file is of it"}));
}

TEST(HuntResult, a_full_disk_leaves_the_file_before_as_it_was) {
  const TemporaryFolder folder;
  const std::string path = (folder.path() / "it.hunt").string();
  write_file(path, "the one before");
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{64, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  std::string said;
  try {
    cli::write_whole_file(path, encode(sample_result()), "result of the hunt");
  } catch (const cli::Failure& failure) {
    EXPECT_EQ(failure.code(), cli::ExitCode::environment);
    said = failure.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(said, "cannot write the result of the hunt " + path + ": File too large");
  EXPECT_EQ(read_file(path), "the one before");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

}  // namespace
}  // namespace twinwire::props
