// SPDX-License-Identifier: Apache-2.0
#include "cli/hunt_result.h"

#include <algorithm>
#include <set>

#include "cli/sealed_text.h"
#include "cli/text.h"

namespace twinwire::cli {
namespace {

constexpr Seal hunt_seal{"result of a hunt", "twinwire-hunt", hunt_result_format};
constexpr std::string_view fault_prefix = "fault.";
constexpr std::string_view state_prefix = "state.";
constexpr std::string_view knob_prefix = "knob.";

class ResultReader {
 public:
  ResultReader(std::string_view text, std::string_view name)
      : name_(name), lines_(split_lines(unsealed(hunt_seal, text, name))) {}

  HuntResult read() {
    constexpr std::string_view may_repeat[] = {"version", "setting", "knob",    "ran",
                                               "counter", "failure", "capsule", "detail"};
    for (at_ = 1; at_ < lines_.size(); ++at_) {
      const std::size_t space = std::min(lines_[at_].find(' '), lines_[at_].size());
      const std::string_view word = lines_[at_].substr(0, space);
      const std::string_view rest = lines_[at_].substr(std::min(space + 1, lines_[at_].size()));
      const bool once =
          std::find(std::begin(may_repeat), std::end(may_repeat), word) == std::end(may_repeat);
      if (once && !known_.emplace(word).second)
        bad_line("says '" + std::string(word) + "' a second time");
      if (!read_spec(word, rest) && !read_range(word, rest) && !read_finding(word, rest))
        bad_line("is not known to format " + std::to_string(hunt_result_format));
    }
    for (const char* word : {"scenario", "transport", "seeds", "hash"})
      if (!known_.contains(word)) fail("has no line '" + std::string(word) + "'");
    check_ranges();
    return std::move(result_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    bad_usage("the result of a hunt " + std::string(name_) + " " + what);
  }
  [[noreturn]] void bad_line(const std::string& what) const {
    fail("is malformed: line " + std::to_string(at_ + 1) + " " + what);
  }
  template <class T>
  T need(std::optional<T> value, std::string_view what) const {
    if (!value) bad_line("holds no " + std::string(what));
    return *value;
  }
  std::uint64_t number(std::string_view text, std::string_view what) const {
    return need(parse_u64(text), what);
  }

  SeedRange range(std::string_view text) const {
    const auto words = split_words(text);
    if (words.size() != 2) bad_line("holds no first seed and number");
    const SeedRange range{number(words[0], "first seed"), number(words[1], "number of seeds")};
    if (range.end() < range.first) bad_line("goes beyond the last seed");
    return range;
  }

  bool read_spec(std::string_view word, std::string_view rest) {
    RunSpec& spec = result_.spec;
    if (word == "build") {
      result_.build = need(parse_hex16(rest), "build id of 16 hex digits");
    } else if (word == "version") {
      const std::size_t space = std::min(rest.find(' '), rest.size());
      result_.versions.emplace_back(rest.substr(0, space),
                                    rest.substr(std::min(space + 1, rest.size())));
    } else if (word == "scenario") {
      spec.scenario = rest;
    } else if (word == "transport") {
      spec.transport = rest;
    } else if (word == "chance") {
      if (rest != "swarm" && rest != "all" && rest != "none")
        bad_line("says neither 'swarm' nor 'all' nor 'none'");
      spec.base = rest == "swarm" ? RunSpec::Base::swarm
                  : rest == "all" ? RunSpec::Base::all
                                  : RunSpec::Base::none;
    } else if (word == "setting") {
      spec.faults.emplace_back(rest);
    } else if (word == "knob") {
      spec.knobs.push_back(parse_knob(rest));
    } else if (word == "plant") {
      spec.plant = rest;
    } else {
      return false;
    }
    return true;
  }

  bool read_range(std::string_view word, std::string_view rest) {
    if (word == "seeds") {
      result_.seeds = range(rest);
    } else if (word == "shard") {
      result_.shard = parse_shard(rest);
    } else if (word == "ran") {
      result_.ran.push_back(range(rest));
    } else if (word == "ended") {
      result_.ended = rest;
    } else if (word == "took") {
      result_.took = Duration(need(parse_i64(rest), "number of nanoseconds"));
    } else {
      return false;
    }
    return true;
  }

  bool read_finding(std::string_view word, std::string_view rest) {
    if (word == "hash") {
      result_.hash_sum = need(parse_hex16(rest), "hash of 16 hex digits");
    } else if (word == "counter") {
      const auto words = split_words(rest);
      if (words.size() < 2) bad_line("is no counter: a name and one number or more");
      auto& values = result_.counters[std::string(words[0])];
      if (!values.empty()) bad_line("counts '" + std::string(words[0]) + "' a second time");
      for (std::size_t i = 1; i < words.size(); ++i)
        values.push_back(number(words[i], "number to count"));
    } else if (word == "failure") {
      const std::size_t seed_end = std::min(rest.find(' '), rest.size());
      const std::size_t count_end = std::min(rest.find(' ', seed_end + 1), rest.size());
      if (count_end + 1 >= rest.size()) bad_line("is no failure: seed, number of seeds, key");
      result_.failures.push_back(
          {std::string(rest.substr(count_end + 1)), number(rest.substr(0, seed_end), "seed"),
           number(rest.substr(seed_end + 1, count_end - seed_end - 1), "number of seeds"), "", ""});
    } else if (word == "capsule" || word == "detail") {
      if (result_.failures.empty()) bad_line("comes before any failure");
      FoundFailure& of = result_.failures.back();
      if (word == "capsule") {
        of.capsule = rest;
      } else {
        of.detail += (of.detail.empty() ? "" : "\n") + std::string(rest);
      }
    } else {
      return false;
    }
    return true;
  }

  void check_ranges() const {
    const SeedRange& whole = result_.seeds;
    if (result_.shard && (whole.count == 0 || result_.shard->of > whole.count))
      fail("is of a shard that has no seeds");
    std::uint64_t from = whole.first;
    for (const SeedRange& range : result_.ran) {
      if (range.count == 0 || range.first < from || (whole.count != 0 && range.end() > whole.end()))
        fail("ran seeds twice, or others than its own: " + to_text(range));
      from = range.end();
    }
  }

  std::string_view name_;
  std::vector<std::string_view> lines_;
  std::size_t at_ = 0;
  std::set<std::string_view> known_;  // words that may come once
  HuntResult result_;
};

}  // namespace

std::uint64_t HuntResult::done() const noexcept {
  std::uint64_t sum = 0;
  for (const SeedRange& range : ran) sum += range.count;
  return sum;
}

std::vector<SeedRange> HuntResult::missing() const {
  std::vector<SeedRange> gaps;
  if (seeds.count == 0) return gaps;
  std::uint64_t from = seeds.first;
  for (const SeedRange& range : ran) {
    if (range.first > from) gaps.push_back({from, range.first - from});
    from = range.end();
  }
  if (from < seeds.end()) gaps.push_back({from, seeds.end() - from});
  return gaps;
}

std::string encode(const HuntResult& result) {
  std::string text = opening(hunt_seal);
  const auto line = [&](std::string_view word, const std::string& rest) {
    text += word;
    text += ' ';
    text += rest;
    text += '\n';
  };
  const auto numbers = [](const SeedRange& range) {
    return std::to_string(range.first) + " " + std::to_string(range.count);
  };
  const RunSpec& spec = result.spec;
  line("build", hex16(result.build));
  for (const auto& [what, version] : result.versions) line("version " + what, version);
  line("scenario", spec.scenario);
  line("transport", spec.transport);
  line("chance", spec.base == RunSpec::Base::swarm ? "swarm"
                 : spec.base == RunSpec::Base::all ? "all"
                                                   : "none");
  for (const std::string& fault : spec.faults) line("setting", fault);
  for (const laws::Knob& knob : spec.knobs) line("knob", to_text({knob}));
  if (!spec.plant.empty()) line("plant", spec.plant);
  line("seeds", numbers(result.seeds));
  if (result.shard) line("shard", to_text(*result.shard));
  for (const SeedRange& range : result.ran) line("ran", numbers(range));
  if (!result.ended.empty()) line("ended", result.ended);
  line("took", std::to_string(result.took.count()));
  line("hash", hex16(result.hash_sum));
  for (const auto& [name, values] : result.counters) {
    std::string row = name;
    for (const std::uint64_t value : values) row += " " + std::to_string(value);
    line("counter", row);
  }
  for (const FoundFailure& failure : result.failures) {
    line("failure",
         std::to_string(failure.seed) + " " + std::to_string(failure.count) + " " + failure.key);
    if (!failure.capsule.empty()) line("capsule", failure.capsule);
    for (const std::string_view part : split_lines(failure.detail))
      line("detail", std::string(part));
  }
  return sealed(std::move(text));
}

HuntResult decode_hunt_result(std::string_view text, std::string_view name) {
  return ResultReader(text, name).read();
}

void put_faults(HuntResult& result, const FaultTallies& faults) {
  for (std::size_t i = 0; i < sim::site_count; ++i) {
    const FaultTally& tally = faults[i];
    if (tally.count.drawn == 0 && tally.seeds_on == 0) continue;
    result.counters[std::string(fault_prefix) + std::string(sim::name(static_cast<sim::Site>(i)))] =
        {tally.count.drawn, tally.count.struck, tally.count.bit, tally.seeds_bit,
         tally.seeds_on,    tally.reruns,       tally.changed};
  }
}

FaultTallies faults_of(const HuntResult& result) {
  FaultTallies faults{};
  for (const auto& [name, values] : result.counters) {
    if (!name.starts_with(fault_prefix)) continue;
    const auto site = sim::site_named(std::string_view(name).substr(fault_prefix.size()));
    if (!site || values.size() != 7)
      bad_usage("this build has no fault that counts as '" + name +
                "': merge with the build that hunted");
    faults[static_cast<std::size_t>(*site)] = {.count = {values[0], values[1], values[2]},
                                               .seeds_on = values[4],
                                               .seeds_bit = values[3],
                                               .reruns = values[5],
                                               .changed = values[6]};
  }
  return faults;
}

void put_states(HuntResult& result, const laws::SometimesTallies& states) {
  for (const laws::SometimesEntry& entry : laws::sometimes_list()) {
    const laws::SometimesTally& tally = states[static_cast<std::size_t>(entry.state)];
    if (tally.times != 0)
      result.counters[std::string(state_prefix) + std::string(entry.name)] = {tally.times,
                                                                              tally.seeds};
  }
}

laws::SometimesTallies states_of(const HuntResult& result) {
  laws::SometimesTallies states{};
  for (const laws::SometimesEntry& entry : laws::sometimes_list()) {
    const auto at = result.counters.find(std::string(state_prefix) + std::string(entry.name));
    if (at != result.counters.end() && at->second.size() == 2)
      states[static_cast<std::size_t>(entry.state)] = {at->second[0], at->second[1]};
  }
  return states;
}

void put_knobs_read(HuntResult& result, std::uint64_t bits) {
  for (std::size_t i = 0; i < std::min<std::size_t>(64, result.spec.knobs.size()); ++i)
    result.counters[std::string(knob_prefix) + result.spec.knobs[i].name] = {bits >> i & 1};
}

const laws::Knob* unread_knob(const HuntResult& result) {
  if (result.done() == 0) return nullptr;
  for (const laws::Knob& knob : result.spec.knobs) {
    const auto read = result.counters.find(std::string(knob_prefix) + knob.name);
    if (read != result.counters.end() && read->second[0] == 0) return &knob;
  }
  return nullptr;
}

}  // namespace twinwire::cli
