// SPDX-License-Identifier: Apache-2.0
// Laws of the split: the shards of a range are the range, each seed once, and as equal as can be; and what their
// results add up to does not depend on the order of the files.
// ctest: no_tsan
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "cli/exit_code.h"
#include "cli/hunt_sum.h"

namespace twinwire::props {
namespace {

using cli::NamedResult;
using cli::SeedRange;
using cli::Shard;

constexpr std::uint64_t count_max = std::uint64_t{1} << 60;  // as many as `hunt` takes

// Small numbers, where the edges are, as often as any.
SeedRange any_range() {
  const auto small = *rc::gen::arbitrary<bool>();
  const auto first = *rc::gen::inRange<std::uint64_t>(0, small ? 5 : UINT64_MAX - count_max);
  return {first, *rc::gen::inRange<std::uint64_t>(0, small ? 40 : count_max)};
}

RC_GTEST_PROP(HuntShard, the_parts_follow_each_other_from_the_first_seed_to_the_last, ()) {
  const SeedRange whole = any_range();
  const auto of = *rc::gen::inRange<std::uint64_t>(1, 60);
  std::uint64_t next = whole.first;
  for (std::uint64_t i = 1; i <= of; ++i) {
    const SeedRange part = cli::part_of(whole, {i, of});
    RC_ASSERT(part.first == next);
    next = part.end();
    const std::uint64_t least = whole.count / of;
    RC_ASSERT(part.count == least || part.count == least + 1);
  }
  RC_ASSERT(next == whole.end());
}

// Without walking all parts: any two neighbours of very many.
RC_GTEST_PROP(HuntShard, neighbours_touch_however_many_parts_there_are, ()) {
  const SeedRange whole = any_range();
  const auto of = *rc::gen::inRange<std::uint64_t>(2, UINT64_MAX);
  const auto index = *rc::gen::inRange<std::uint64_t>(1, of);
  RC_ASSERT(cli::part_of(whole, {index, of}).end() == cli::part_of(whole, {index + 1, of}).first);
  RC_ASSERT(cli::part_of(whole, {of, of}).end() == whole.end());
}

RC_GTEST_PROP(HuntShard, what_the_text_says_is_the_shard, ()) {
  const auto of = *rc::gen::inRange<std::uint64_t>(1, UINT64_MAX);
  const Shard shard{*rc::gen::inRange<std::uint64_t>(1, of + 1), of};
  RC_ASSERT(cli::parse_shard(cli::to_text(shard)) == shard);
}

TEST(HuntShard, any_other_text_is_refused) {
  for (const char* text : {"",
                           "/",
                           "1",
                           "1/",
                           "/1",
                           "0/7",
                           "8/7",
                           "1/0",
                           "0/0",
                           "-1/7",
                           "+1/7",
                           " 1/7",
                           "1/7 ",
                           "1 /7",
                           "1/7/7",
                           "1.0/7",
                           "0x1/7",
                           "one/two",
                           "1/18446744073709551616",
                           "18446744073709551616/1"}) {
    try {
      const Shard shard = cli::parse_shard(text);
      ADD_FAILURE() << "'" << text << "' was taken for " << cli::to_text(shard);
    } catch (const cli::Failure& failure) {
      EXPECT_EQ(failure.code(), cli::ExitCode::bad_usage);
      EXPECT_NE(std::string(failure.what()).find(std::string("'") + text + "'"), std::string::npos)
          << failure.what();
    }
  }
}

// Shards of a hunt in which some seeds fail and all are counted, in any order.
RC_GTEST_PROP(HuntShard, results_add_up_to_the_same_in_any_order, ()) {
  const SeedRange whole{*rc::gen::inRange<std::uint64_t>(0, 1000),
                        *rc::gen::inRange<std::uint64_t>(1, 60)};
  const auto of = *rc::gen::inRange<std::uint64_t>(1, whole.count + 1);
  std::vector<NamedResult> results;
  for (std::uint64_t i = 1; i <= of; ++i) {
    NamedResult named{std::to_string(i), {}};
    named.result.seeds = whole;
    named.result.shard = Shard{i, of};
    const SeedRange part = cli::part_of(whole, {i, of});
    named.result.ran = {part};
    std::uint64_t sum = 0;
    for (std::uint64_t seed = part.first; seed < part.end(); ++seed) {
      sum += seed;
      if (seed % 7 != 0) continue;
      auto& failures = named.result.failures;
      if (failures.empty()) failures.push_back({"law_broken:sevens", seed, 0, "", ""});
      ++failures.front().count;
    }
    named.result.hash_sum = sum * 0x9e3779b97f4a7c15ULL;
    named.result.counters["any.name"] = {sum, part.count};
    results.push_back(std::move(named));
  }
  const auto keys = *rc::gen::container<std::vector<int>>(of, rc::gen::arbitrary<int>());
  std::vector<NamedResult> shuffled;
  std::vector<std::size_t> order(of);
  for (std::size_t i = 0; i < of; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return keys[a] < keys[b]; });
  for (const std::size_t i : order) shuffled.push_back(results[i]);

  const cli::HuntResult sum = cli::sum_of(shuffled);
  std::uint64_t seeds = 0;
  std::uint64_t sevens = 0;
  for (std::uint64_t seed = whole.first; seed < whole.end(); ++seed) {
    seeds += seed;
    sevens += seed % 7 == 0 ? 1 : 0;
  }
  RC_ASSERT(sum.ran == std::vector<SeedRange>{whole});
  RC_ASSERT(sum.missing().empty());
  RC_ASSERT(sum.hash_sum == seeds * 0x9e3779b97f4a7c15ULL);
  RC_ASSERT(sum.counters.at("any.name") == (std::vector<std::uint64_t>{seeds, whole.count}));
  RC_ASSERT(sum.failures.size() == (sevens == 0 ? 0U : 1U));
  if (sevens == 0) return;
  RC_ASSERT(sum.failures[0].seed == (whole.first + 6) / 7 * 7);
  RC_ASSERT(sum.failures[0].count == sevens);
}

// One shard left out, or given twice: never a sum that looks whole.
RC_GTEST_PROP(HuntShard, a_shard_too_few_is_missing_and_one_too_many_is_refused, ()) {
  const SeedRange whole{1, *rc::gen::inRange<std::uint64_t>(2, 60)};
  const auto of = *rc::gen::inRange<std::uint64_t>(2, whole.count + 1);
  std::vector<NamedResult> results;
  for (std::uint64_t i = 1; i <= of; ++i) {
    NamedResult named{std::to_string(i), {}};
    named.result.seeds = whole;
    named.result.shard = Shard{i, of};
    named.result.ran = {cli::part_of(whole, {i, of})};
    results.push_back(std::move(named));
  }
  const auto at = *rc::gen::inRange<std::uint64_t>(0, of);
  auto twice = results;
  twice.push_back(results[at]);
  RC_ASSERT_THROWS_AS(cli::sum_of(twice), cli::Failure);
  auto fewer = results;
  fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(at));
  const cli::HuntResult sum = cli::sum_of(fewer);
  RC_ASSERT(sum.missing() == results[at].result.ran);
  const auto lines = cli::missing_seeds(sum, fewer);
  RC_ASSERT(lines.size() == 1U);
  RC_ASSERT(lines[0].line == "shard " + cli::to_text(Shard{at + 1, of}) + ", seeds " +
                                 cli::to_text(results[at].result.ran[0]) + ": no file is of it");
}

}  // namespace
}  // namespace twinwire::props
