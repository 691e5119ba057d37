// SPDX-License-Identifier: Apache-2.0
#include "cli/capsule.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "cli/build_id.h"
#include "cli/sealed_text.h"
#include "cli/text.h"
#include "cli/whole_file.h"

namespace twinwire::cli {
namespace {

constexpr Seal capsule_seal{"capsule", "twinwire-capsule", capsule_format};

class Reader {
 public:
  Reader(std::string_view text, std::string_view name)
      : name_(name), lines_(split_lines(unsealed(capsule_seal, text, name))) {}

  Capsule read() {
    Capsule capsule;
    for (at_ = 1; at_ < lines_.size(); ++at_) {
      const std::size_t space = std::min(lines_[at_].find(' '), lines_[at_].size());
      const std::string_view word = lines_[at_].substr(0, space);
      const std::string_view rest = lines_[at_].substr(std::min(space + 1, lines_[at_].size()));
      if (word != "version" && word != "knob" && word != "detail" && !known_.emplace(word).second)
        bad_line("says '" + std::string(word) + "' a second time");
      if (word == "decisions") {
        read_decisions(capsule, rest);
      } else if (!read_field(capsule, word, rest)) {
        bad_line("is not known to format " + std::to_string(capsule_format));
      }
    }
    if (capsule.scenario.empty() || capsule.transport.empty() || capsule.key.empty())
      fail("names no scenario, no transport or no failure key");
    return capsule;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    bad_usage("the capsule " + std::string(name_) + " " + what);
  }
  [[noreturn]] void bad_line(const std::string& what) const {
    fail("is malformed: line " + std::to_string(at_ + 1) + " " + what);
  }
  template <class T>
  T need(std::optional<T> value, const char* what) const {
    if (value) return *value;
    std::string problem = "holds no ";
    problem += what;
    bad_line(problem);
  }

  bool read_field(Capsule& capsule, std::string_view word, std::string_view rest) const {
    if (word == "build") {
      capsule.build = need(parse_hex16(rest), "build id of 16 hex digits");
    } else if (word == "version") {
      const std::size_t space = std::min(rest.find(' '), rest.size());
      capsule.versions.emplace_back(rest.substr(0, space),
                                    rest.substr(std::min(space + 1, rest.size())));
    } else if (word == "scenario") {
      capsule.scenario = rest;
    } else if (word == "transport") {
      capsule.transport = rest;
    } else if (word == "seed") {
      capsule.seed = need(parse_u64(rest), "seed");
    } else if (word == "plant") {
      capsule.plant = rest;
    } else if (word == "faults") {
      capsule.faults = rest;
      (void)plan_from_text(rest);
    } else if (word == "knob") {
      capsule.knobs.push_back(parse_knob(rest));
    } else if (word == "run") {
      if (rest != "decisions") bad_line("says how to run it, and not by its decisions");
      capsule.of_decisions = true;
    } else if (word == "was") {
      capsule.was = need(parse_u64(rest), "number of decisions");
    } else if (word == "cost") {
      capsule.cost = need(parse_u64(rest), "number of steps");
    } else if (word == "key") {
      capsule.key = rest;
    } else if (word == "hash") {
      capsule.hash = need(parse_hex16(rest), "hash of 16 hex digits");
    } else if (word == "detail") {
      if (!capsule.detail.empty()) capsule.detail += '\n';
      capsule.detail += rest;
    } else {
      return false;
    }
    return true;
  }

  void read_decisions(Capsule& capsule, std::string_view rest) {
    const std::uint64_t count = need(parse_u64(rest), "number of decisions");
    if (count > lines_.size() - at_ - 1) bad_line("announces more decisions than there are lines");
    capsule.decisions.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto words = split_words(lines_[++at_]);
      if (words.size() != 4) bad_line("is no decision: site, entity, occurrence, choice");
      const auto site = sim::site_named(words[0]);
      if (!site)
        bad_line("names the site '" + std::string(words[0]) + "', which this build does not have");
      capsule.decisions.push_back({*site, need(parse_hex16(words[1]), "entity"),
                                   need(parse_u64(words[2]), "occurrence"),
                                   need(parse_u64(words[3]), "choice")});
    }
  }

  std::string_view name_;
  std::vector<std::string_view> lines_;
  std::size_t at_ = 0;
  std::set<std::string_view> known_;  // words that may come once
};

Capsule start_capsule(const RunSpec& spec, std::uint64_t seed) {
  Capsule capsule;
  capsule.build = build_id();
  capsule.versions = build_versions();
  capsule.scenario = spec.scenario;
  capsule.transport = spec.transport;
  capsule.seed = seed;
  capsule.plant = spec.plant;
  capsule.faults = spec.plan(seed).to_text();
  capsule.knobs = spec.knobs;
  return capsule;
}

}  // namespace

std::string encode(const Capsule& capsule) {
  std::string text = opening(capsule_seal);
  const auto line = [&](std::string_view word, std::string_view rest) {
    text += word;
    text += ' ';
    text += rest;
    text += '\n';
  };
  line("build", hex16(capsule.build));
  for (const auto& [what, version] : capsule.versions) line("version " + what, version);
  line("scenario", capsule.scenario);
  line("transport", capsule.transport);
  line("seed", std::to_string(capsule.seed));
  if (!capsule.plant.empty()) line("plant", capsule.plant);
  line("faults", capsule.faults);
  for (const laws::Knob& knob : capsule.knobs) line("knob", to_text({knob}));
  if (capsule.of_decisions) line("run", "decisions");
  if (capsule.was) line("was", std::to_string(*capsule.was));
  if (capsule.cost) line("cost", std::to_string(*capsule.cost));
  line("key", capsule.key);
  if (capsule.hash) line("hash", hex16(*capsule.hash));
  for (const std::string_view part : split_lines(capsule.detail)) line("detail", part);
  line("decisions", std::to_string(capsule.decisions.size()));
  for (const sim::Decision& d : capsule.decisions)
    line(sim::name(d.site),
         hex16(d.entity) + " " + std::to_string(d.occurrence) + " " + std::to_string(d.choice));
  return sealed(std::move(text));
}

Capsule decode(std::string_view text, std::string_view name) { return Reader(text, name).read(); }

Capsule make_capsule(const RunSpec& spec, std::uint64_t seed, const laws::Verdict& verdict) {
  Capsule capsule = start_capsule(spec, seed);
  // With every knob as it was read, a later build whose defaults differ still makes this run.
  if (!verdict.knobs_read.empty()) capsule.knobs = verdict.knobs_read;
  capsule.key = verdict.failure_key();
  capsule.hash = verdict.report.hash;
  capsule.detail = verdict.detail;
  capsule.decisions = verdict.decisions;
  return capsule;
}

Capsule make_capsule(const RunSpec& spec, std::uint64_t seed, std::string key, std::string detail) {
  Capsule capsule = start_capsule(spec, seed);
  capsule.key = std::move(key);
  capsule.detail = std::move(detail);
  return capsule;
}

std::string capsule_path(const Capsule& capsule, const std::string& folder) {
  std::string name = capsule.scenario + "-" + capsule.transport + "-" +
                     capsule.key.substr(capsule.key.find(':') + 1) + "-" +
                     std::to_string(capsule.seed) +
                     (capsule.plant.empty() ? "" : "-" + capsule.plant);
  std::replace_if(
      name.begin(), name.end(),
      [](char c) { return std::string_view(" /:\\'\"").find(c) != std::string_view::npos; }, '_');
  return (std::filesystem::path(folder) / (name + ".capsule")).string();
}

Capsule load_capsule(const std::string& path) {
  return decode(read_whole_file(path, capsule_seal.noun), path);
}

std::string save_capsule(const Capsule& capsule, const std::string& folder) {
  const std::string path = capsule_path(capsule, folder);
  make_folder_of(path, capsule_seal.noun);
  write_capsule(capsule, path);
  return path;
}

void write_capsule(const Capsule& capsule, const std::string& path) {
  write_whole_file(path, encode(capsule), capsule_seal.noun);
}

}  // namespace twinwire::cli
