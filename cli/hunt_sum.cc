// SPDX-License-Identifier: Apache-2.0
#include "cli/hunt_sum.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "cli/text.h"

namespace twinwire::cli {
namespace {

std::string seeds_text(const HuntResult& result) {
  if (result.seeds.count == 0) return std::to_string(result.seeds.first) + " and on";
  return to_text(result.seeds);
}

// One hunt: what must be equal for the sum to mean anything.
void require_same(const NamedResult& one, const NamedResult& other) {
  const auto same = [&](const char* what, const std::string& a, const std::string& b) {
    if (a != b)
      bad_usage(one.name + " and " + other.name + " are not of one hunt: " + what + " " + a +
                " there, " + b + " here");
  };
  same("the arguments are", one.result.spec.arguments(), other.result.spec.arguments());
  same("the seeds are", seeds_text(one.result), seeds_text(other.result));
  same("the build is", hex16(one.result.build), hex16(other.result.build));
}

// All that ran, in rising order, with neighbours joined.
std::vector<SeedRange> joined(const std::vector<NamedResult>& results) {
  std::vector<std::pair<SeedRange, std::size_t>> all;  // and whose it is
  for (std::size_t i = 0; i < results.size(); ++i)
    for (const SeedRange& range : results[i].result.ran) all.emplace_back(range, i);
  std::sort(all.begin(), all.end(),
            [](const auto& a, const auto& b) { return a.first.first < b.first.first; });
  std::vector<SeedRange> ran;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const SeedRange& range = all[i].first;
    // Each file's own ranges lie apart, and a neighbour that is the first to overlap ends last.
    if (i != 0 && all[i - 1].first.end() > range.first) {
      const std::uint64_t end = std::min(all[i - 1].first.end(), range.end());
      bad_usage(results[all[i - 1].second].name + " and " + results[all[i].second].name +
                " both ran the seeds " + to_text(SeedRange{range.first, end - range.first}) +
                ": give each shard once");
    }
    if (!ran.empty() && ran.back().end() == range.first) {
      ran.back().count += range.count;
    } else {
      ran.push_back(range);
    }
  }
  return ran;
}

void add_counters(HuntResult& sum, const NamedResult& more) {
  for (const auto& [name, values] : more.result.counters) {
    auto& known = sum.counters[name];
    if (known.empty()) known.resize(values.size());
    if (known.size() != values.size())
      bad_usage("the result of a hunt " + more.name + " counts '" + name +
                "' in another way than those before it");
    for (std::size_t i = 0; i < values.size(); ++i) known[i] += values[i];
  }
}

void add_failures(HuntResult& sum, const HuntResult& more) {
  for (const FoundFailure& failure : more.failures) {
    const auto known =
        std::find_if(sum.failures.begin(), sum.failures.end(),
                     [&](const FoundFailure& other) { return other.key == failure.key; });
    if (known == sum.failures.end()) {
      sum.failures.push_back(failure);
      continue;
    }
    const std::uint64_t count = known->count + failure.count;
    if (failure.seed < known->seed) *known = failure;
    known->count = count;
  }
}

SeedRange overlap(const SeedRange& a, const SeedRange& b) {
  const std::uint64_t first = std::max(a.first, b.first);
  const std::uint64_t end = std::min(a.end(), b.end());
  return {first, end > first ? end - first : 0};
}

}  // namespace

HuntResult sum_of(const std::vector<NamedResult>& results) {
  HuntResult sum = results.front().result;
  for (std::size_t i = 1; i < results.size(); ++i) require_same(results.front(), results[i]);
  sum.ran = joined(results);
  for (std::size_t i = 1; i < results.size(); ++i) {
    const HuntResult& more = results[i].result;
    if (sum.ended.empty()) sum.ended = more.ended;
    sum.took += more.took;
    sum.hash_sum += more.hash_sum;
    add_counters(sum, results[i]);
    add_failures(sum, more);
    sum.shard.reset();
  }
  std::sort(sum.failures.begin(), sum.failures.end(),
            [](const FoundFailure& a, const FoundFailure& b) {
              return std::pair(a.seed, a.key) < std::pair(b.seed, b.key);
            });
  return sum;
}

std::vector<MissingSeeds> missing_seeds(const HuntResult& sum,
                                        const std::vector<NamedResult>& results) {
  std::vector<MissingSeeds> missing;
  const auto shard = results.front().result.shard;
  const bool sharded =
      shard && std::all_of(results.begin(), results.end(), [&](const NamedResult& named) {
        return named.result.shard && named.result.shard->of == shard->of;
      });
  std::uint64_t index = 1;
  for (const SeedRange& gap : sum.missing()) {
    if (!sharded) {
      const bool alone = results.size() == 1 && !sum.ended.empty();
      missing.push_back({"seeds " + to_text(gap) + (alone ? " (" + sum.ended + ")" : ""),
                         alone && sum.ended == "failures"});
      continue;
    }
    for (; index <= shard->of; ++index) {
      const Shard here{index, shard->of};
      const SeedRange part = overlap(part_of(sum.seeds, here), gap);
      if (part.first >= gap.end()) break;
      if (part.count == 0) continue;
      const auto of = std::find_if(results.begin(), results.end(), [&](const NamedResult& named) {
        return named.result.shard == here;
      });
      const std::string line = "shard " + to_text(here) + ", seeds " + to_text(part) + ": ";
      if (of == results.end()) {
        missing.push_back({line + "no file is of it"});
      } else {
        missing.push_back({line + of->name + " leaves them out (" + of->result.ended + ")",
                           of->result.ended == "failures"});
      }
      if (part_of(sum.seeds, here).end() > gap.end()) break;
    }
  }
  return missing;
}

}  // namespace twinwire::cli
