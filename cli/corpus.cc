// SPDX-License-Identifier: Apache-2.0
#include "cli/corpus.h"

#include <algorithm>
#include <filesystem>

#include "cli/run_spec.h"
#include "cli/text.h"
#include "cli/trials.h"
#include "cli/whole_file.h"

namespace twinwire::cli {
namespace {

constexpr std::size_t still_occur_percent = 90;

std::uint64_t cost_of(const Capsule& capsule) { return capsule.cost.value_or(UINT64_MAX); }

std::size_t percent_made(const Capsule& capsule, const Outcome& outcome) {
  if (capsule.decisions.empty()) return 100;
  const auto made = std::count_if(
      capsule.decisions.begin(), capsule.decisions.end(), [&](const sim::Decision& wanted) {
        return std::any_of(outcome.made.begin(), outcome.made.end(),
                           [&](const sim::Decision& d) { return d.same_key(wanted); });
      });
  return static_cast<std::size_t>(made) * 100 / capsule.decisions.size();
}

}  // namespace

std::string corpus_name(const Capsule& capsule) {
  std::string name = capsule.transport + "-" + capsule.key +
                     (capsule.plant.empty() ? "" : "-" + capsule.plant) + ".capsule";
  std::replace_if(
      name.begin(), name.end(),
      [](char c) { return std::string_view(" /:\\'\"").find(c) != std::string_view::npos; }, '-');
  return name;
}

std::vector<CorpusEntry> load_corpus(const std::string& folder) {
  std::vector<CorpusEntry> entries;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(folder, error))
    if (file.path().extension() == ".capsule")
      entries.push_back({file.path().string(), load_capsule(file.path().string())});
  if (error) bad_usage("cannot read the corpus " + folder + ": " + error.message());
  std::sort(entries.begin(), entries.end(), [](const CorpusEntry& a, const CorpusEntry& b) {
    return std::pair(cost_of(a.capsule), a.path) < std::pair(cost_of(b.capsule), b.path);
  });
  return entries;
}

std::string add_to_corpus(const Capsule& capsule, const std::string& folder) {
  const std::string path = (std::filesystem::path(folder) / corpus_name(capsule)).string();
  std::error_code none;
  const bool known = std::filesystem::exists(path, none);
  if (known && cost_of(load_capsule(path)) <= cost_of(capsule))
    return path + " is there already, and as quick";
  make_folder_of(path, "capsule");
  write_capsule(capsule, path);
  return path + (known ? " takes the place of a slower one" : " is new");
}

std::vector<std::string> complaints_about(const Tool& tool, const CorpusEntry& entry,
                                          Duration hang_after) {
  const Capsule& capsule = entry.capsule;
  laws::WorldRun run;
  run.scenario = &scenario_named(tool, capsule.scenario);
  run.transport = transport_named(capsule.transport);
  require_body(*run.scenario, run.transport);
  run.options.seed = capsule.seed;
  run.options.faults = plan_from_text(capsule.faults);
  Trials trials(tool, run, capsule.plant, hang_after);
  Variant variant{capsule.of_decisions ? capsule.decisions : std::vector<sim::Decision>(),
                  capsule.knobs, !capsule.of_decisions};
  const auto outcome_of = [&](bool planted) {
    variant.planted = planted;
    return *trials.run(variant, [] { return false; });
  };

  std::vector<std::string> complaints;
  const auto complain = [&](const std::string& text) {
    complaints.push_back(entry.path + " " + text);
  };
  const Outcome outcome = outcome_of(true);
  const std::string wanted = capsule.plant.empty() ? "pass" : capsule.key;
  if (outcome.key != wanted)
    complain(capsule.plant.empty()
                 ? "shows what was not mended, or came back: " + outcome.key + " (" +
                       outcome.detail + ")"
                 : "does not show its planted bug any more: it gives " + outcome.key + " and not " +
                       wanted + "; hunt for it again, with --corpus");
  if (const std::size_t percent = percent_made(capsule, outcome); percent < still_occur_percent)
    complain("is stale: only " + std::to_string(percent) +
             " % of its decisions still occur; hunt again, with --corpus, or take it out");
  if (capsule.plant.empty()) return complaints;
  if (const Outcome healthy = outcome_of(false); healthy.key != "pass")
    complain("fails without its planted bug, too: " + healthy.key + " (" + healthy.detail + ")");
  return complaints;
}

}  // namespace twinwire::cli
