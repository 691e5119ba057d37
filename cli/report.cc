// SPDX-License-Identifier: Apache-2.0
#include "cli/report.h"

#include <cstdio>
#include <vector>

#include "cli/text.h"

namespace twinwire::cli {

ExitCode exit_code(laws::VerdictKind kind) noexcept {
  switch (kind) {
    case laws::VerdictKind::pass: return ExitCode::pass;
    case laws::VerdictKind::law_broken: return ExitCode::law_broken;
    case laws::VerdictKind::no_progress: return ExitCode::no_progress;
  }
  return ExitCode::law_broken;
}

ExitCode code_of(const std::string& key) {
  if (key == "pass") return ExitCode::pass;
  if (key.starts_with("no_progress:")) return ExitCode::no_progress;
  if (key.starts_with("crash:")) return ExitCode::crash;
  if (key.starts_with("nondeterminism:")) return ExitCode::nondeterminism;
  return ExitCode::law_broken;
}

void print_echo(const laws::WorldRun& run, const std::string& transport, const std::string& plant) {
  const std::string faults = run.options.faults.to_text();
  std::printf("seed       %llu\nscenario   %.*s\ntransport  %s\n",
              static_cast<unsigned long long>(run.options.seed),
              static_cast<int>(run.scenario->name.size()), run.scenario->name.data(),
              transport.c_str());
  std::printf("faults     %s\n", faults.empty() ? "none" : faults.c_str());
  if (!run.knobs.empty()) std::printf("knobs      %s\n", to_text(run.knobs).c_str());
  if (!plant.empty()) std::printf("plant      %s\n", plant.c_str());
  std::fflush(stdout);
}

std::string indented(const std::string& text) {
  std::string result;
  for (const std::string_view line : split_lines(text)) result += "  " + std::string(line) + "\n";
  return result;
}

void print_verdict(const laws::Verdict& verdict) {
  const sim::RunReport& report = verdict.report;
  if (!verdict.knobs_read.empty())
    std::printf("used       %s\n", to_text(verdict.knobs_read).c_str());
  std::printf("verdict    %s\n", verdict.failure_key().c_str());
  if (!verdict.detail.empty()) std::printf("%s", indented(verdict.detail).c_str());
  std::printf("steps      %s in %s of virtual time\nhash       %s\n",
              with_commas(report.steps).c_str(), format_duration(Duration(report.at.ns)).c_str(),
              hex16(report.hash).c_str());
  FaultTallies tallies{};
  for (std::size_t i = 0; i < sim::site_count; ++i) tallies[i].count = report.counts[i];
  std::printf("%s", format_faults(tallies, 0).c_str());
}

std::string format_faults(const FaultTallies& tallies, std::uint64_t seeds) {
  std::vector<std::vector<std::string>> rows{{"fault", "drawn", "struck", "bit"}};
  if (seeds != 0) {
    rows[0].emplace_back("seeds in which it bit");
    rows[0].emplace_back("changed the outcome of");
  }
  for (std::size_t i = 0; i < sim::site_count; ++i) {
    const FaultTally& tally = tallies[i];
    if (tally.count.drawn == 0) continue;
    rows.push_back({std::string(sim::name(static_cast<sim::Site>(i))),
                    with_commas(tally.count.drawn), with_commas(tally.count.struck),
                    with_commas(tally.count.bit)});
    if (seeds == 0) continue;
    rows.back().push_back(with_commas(tally.seeds_bit));
    rows.back().push_back(tally.reruns == 0 ? "-"
                                            : with_commas(tally.changed) + " of " +
                                                  with_commas(tally.reruns) + " re-runs");
  }
  return rows.size() == 1 ? "no fault was drawn\n" : format_table(rows, true);
}

}  // namespace twinwire::cli
