// SPDX-License-Identifier: Apache-2.0
// merge: the results of a hunt's shards as one, as the hunt without shards would have printed it. hunt_result.h is the
// file, hunt_sum.h the arithmetic.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "cli/hunt_account.h"
#include "cli/hunt_findings.h"
#include "cli/hunt_report.h"
#include "cli/hunt_sum.h"
#include "cli/reproduce.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/whole_file.h"

namespace twinwire::cli {
namespace {

struct MergeArguments {
  std::vector<std::string> files;
  std::string results;
  bool partial = false;
  AccountOptions account;
};

std::vector<NamedResult> load_results(const std::vector<std::string>& files) {
  std::vector<NamedResult> results;
  results.reserve(files.size());
  for (const std::string& file : files)
    results.push_back({file, decode_hunt_result(read_whole_file(file, "result of a hunt"), file)});
  return results;
}

// A capsule may have stayed on the machine that wrote it; the seed runs anywhere.
ExitCode print_failures(const Tool& tool, const HuntResult& sum) {
  print_number_of_kinds(sum.failures.size(), false);  // what is missing has a list of its own
  ExitCode code = ExitCode::pass;
  for (const FoundFailure& failure : sum.failures) {
    print_failure(failure.key, failure.count, failure.seed, failure.detail);
    std::error_code none;
    const bool here = std::filesystem::exists(failure.capsule, none);
    std::printf("%s",
                reproduce_lines(tool, sum.spec, failure.seed, here ? failure.capsule : "").c_str());
    if (!here && !failure.capsule.empty())
      std::printf("  its capsule stayed where it was found, as %s\n", failure.capsule.c_str());
    code = graver(code, code_of(failure.key));
  }
  return code;
}

ExitCode print_missing(const std::vector<MissingSeeds>& missing, const MergeArguments& options,
                       const HuntResult& sum) {
  constexpr std::size_t lines_max = 50;
  if (missing.empty()) return ExitCode::pass;
  std::printf("\nmissing\n");
  for (std::size_t i = 0; i < std::min(missing.size(), lines_max); ++i)
    std::printf("  %s\n", missing[i].line.c_str());
  if (missing.size() > lines_max)
    std::printf("  and %s more\n", with_commas(missing.size() - lines_max).c_str());
  const bool meant = std::all_of(missing.begin(), missing.end(),
                                 [](const MissingSeeds& seeds) { return seeds.after_failures; });
  if (options.partial || meant) return ExitCode::pass;
  std::fflush(stdout);
  std::fprintf(stderr,
               "twinwire: %s of %s seeds are missing: run their shards again, or give --partial "
               "where what there is shall do\n",
               with_commas(sum.seeds.count - sum.done()).c_str(),
               with_commas(sum.seeds.count).c_str());
  return ExitCode::environment;
}

ExitCode merge_results(const Tool& tool, const MergeArguments& options) {
  const std::vector<NamedResult> results = load_results(options.files);
  const HuntResult sum = sum_of(results);
  (void)faults_of(sum);  // complains before anything is printed
  require_knobs_read(sum);
  if (!options.results.empty()) require_writable(options.results, "result of the hunt");
  std::printf("hunt       %s\nfiles      %zu; the time is that of all of them, one after another\n",
              sum.spec.arguments().c_str(), results.size());
  print_result(sum, "ran        ");
  const ExitCode account = report_account(tool, sum, options.account);
  const ExitCode found = print_failures(tool, sum);
  const ExitCode missed = print_missing(missing_seeds(sum, results), options, sum);
  if (!options.results.empty()) {
    write_whole_file(options.results, encode(sum), "result of the hunt");
    std::printf("\nresults    %s\n", options.results.c_str());
  }
  return graver(graver(account, found), missed);
}

}  // namespace

void add_merge(CLI::App& app, const Tool& tool, ExitCode& code) {
  auto* verb = app.add_subcommand(
      "merge", "what the shards of a hunt found, from their --results, as one hunt");
  auto options = std::make_shared<MergeArguments>();
  verb->add_option("files", options->files, "the files that --results wrote")->required();
  verb->add_option("--results", options->results, "keep the sum as a file of the same kind")
      ->each([](const std::string& path) { require_name(path, "--results"); })
      ->type_name("FILE");
  add_requirements(*verb, options->account);
  verb->add_flag("--partial", options->partial,
                 "seeds that nobody ran are named, and change nothing of the exit code");
  verb->callback([&tool, &code, options] { code = merge_results(tool, *options); });
}

}  // namespace twinwire::cli
