// SPDX-License-Identifier: Apache-2.0
#include "cli/hunt_findings.h"

#include <cstdio>

#include "cli/capsule.h"
#include "cli/corpus.h"
#include "cli/interrupt.h"
#include "cli/minimise_capsule.h"
#include "cli/reproduce.h"
#include "cli/shared.h"
#include "cli/text.h"
#include "cli/watched_run.h"

namespace twinwire::cli {
namespace {

// What the child, which runs the seed again, tells through shared memory.
struct Again {
  Pulse pulse;
  std::array<char, 96> key;
};

constexpr int stop_at_once = 2;  // so many times Ctrl-C

struct Kept {
  std::string key;   // of the run that was made again, alone in a fresh process
  std::string path;  // of the capsule; empty where it could not be written
};

// A hang is believed as it is: to see it again takes as long as it took; and so is everything to whoever pressed Ctrl-C
// twice. The decisions of a run that died died with its process, so its capsule goes by the seed.
Kept run_again(const Tool& tool, const HuntPlan& plan, const HuntFailure& failure,
               const std::string& folder, Duration hang_after, const Interrupt& interrupt) {
  const bool hung = failure.key == "no_progress:hang";
  const bool died = hung || code_of(failure.key) == ExitCode::crash;
  Capsule capsule = make_capsule(plan.spec, failure.seed, failure.key, failure.detail);
  const std::string path = capsule_path(capsule, folder);
  // ... and a seed does not say which decision it ran without.
  const auto keep_the_seed = [&] { return !failure.taken_out && !keep(capsule, folder).empty(); };
  const auto believed = [&](bool kept) { return Kept{failure.key, kept ? path : ""}; };
  if (!died && interrupt.count() >= stop_at_once) return believed(keep_the_seed());
  const bool kept_here = died && keep_the_seed();
  if (hung || interrupt.count() >= stop_at_once) return believed(kept_here);

  Shared<Again> again;
  Child child({.pulse = &again->pulse, .hang_after = hang_after, .capture_stderr = died}, [&] {
    laws::WorldRun run = plan.spec.world_run(tool, failure.seed);
    run.options.record = true;
    if (failure.taken_out) {
      run.options.edits.push_back(*failure.taken_out);
      run.options.edits.back().choice = 0;
    }
    const laws::Verdict verdict = run_watched(run, again->pulse);
    const std::string key = verdict.failure_key();
    key.copy(again->key.data(), again->key.size() - 1);
    if (died) return 0;
    Capsule whole = make_capsule(plan.spec, failure.seed, verdict);
    // What the seed gives is not the run without one of its decisions.
    whole.of_decisions = failure.taken_out.has_value();
    // A failure that depends on more than the seed is kept as it was met.
    whole.key = failure.key;
    whole.detail = failure.detail;
    return keep(whole, folder).empty() ? 1 : 0;
  });
  const auto ended = child.wait_unless([&] { return interrupt.count() >= stop_at_once; });
  if (!ended) return believed(died ? kept_here : keep_the_seed());
  const Death& death = *ended;
  if (death.kind != Death::Kind::ended) return {death.failure_key(), kept_here ? path : ""};
  return {again->key.data(), died ? (kept_here ? path : "") : death.exit_code == 0 ? path : ""};
}

// What cannot be minimised, or kept, is said and costs the hunt nothing.
void put_into_corpus(const Tool& tool, const std::string& capsule, const std::string& folder,
                     Duration hang_after) {
  constexpr Duration time_max = std::chrono::seconds(20);
  const Interrupt interrupt;
  try {
    RunOptions none;
    const Subject subject = make_subject(tool, none, capsule, false);
    const Minimised small = minimise_subject(tool, subject,
                                             {.time_max = time_max,
                                              .hang_after = hang_after,
                                              .interrupted = [&] { return interrupt.count() > 0; }},
                                             [](Duration, const RunSize&, const RunSize&) {});
    std::printf("  corpus: %s (%s)\n", add_to_corpus(small.capsule, folder).c_str(),
                size_change(small.before, small.after).c_str());
    std::fflush(stdout);
  } catch (const Failure& failure) {
    std::fflush(stdout);
    std::fprintf(stderr, "twinwire: not in the corpus: %s\n", failure.what());
  }
}

}  // namespace

void print_number_of_kinds(std::size_t kinds, bool cut_short) {
  if (kinds == 0) {
    std::printf("\nno law was broken%s\n", cut_short ? " in the seeds that ran" : "");
  } else {
    std::printf("\n%zu %s of failure\n", kinds, kinds == 1 ? "kind" : "kinds");
  }
  std::fflush(stdout);
}

void print_failure(const std::string& key, std::uint64_t count, std::uint64_t lowest_seed,
                   const std::string& detail) {
  std::printf("\n%s in %s, the lowest is seed %llu\n%s", key.c_str(),
              count == 1 ? "1 seed" : (with_commas(count) + " seeds").c_str(),
              static_cast<unsigned long long>(lowest_seed), indented(detail).c_str());
}

Findings report_findings(const Tool& tool, const HuntPlan& plan,
                         const std::vector<HuntFailure>& failures, const FindingFolders& folders,
                         Duration hang_after, bool cut_short, const Interrupt& interrupt) {
  print_number_of_kinds(failures.size(), cut_short);
  Findings findings;
  for (const HuntFailure& failure : failures) {
    const Kept again = run_again(tool, plan, failure, folders.capsules, hang_after, interrupt);
    print_failure(failure.key, failure.count, failure.seed, failure.detail);
    if (again.key != failure.key && code_of(failure.key) != ExitCode::nondeterminism)
      std::printf(
          "  run alone, this seed gives %s: it depends on more than the seed (try replay "
          "--verify)\n",
          again.key.c_str());
    std::printf("%s", failure.taken_out
                          ? reproduce_resampled(tool, plan.spec, failure.seed, again.path).c_str()
                          : reproduce_lines(tool, plan.spec, failure.seed, again.path).c_str());
    std::fflush(stdout);
    if (!folders.corpus.empty() && interrupt.count() >= stop_at_once)
      std::printf("  not in the corpus: interrupted before it was minimised\n");
    else if (!folders.corpus.empty() && again.key == failure.key && !again.path.empty())
      put_into_corpus(tool, again.path, folders.corpus, hang_after);
    findings.code = graver(findings.code, code_of(failure.key));
    findings.failures.push_back(
        {failure.key, failure.seed, failure.count, again.path, failure.detail});
  }
  return findings;
}

}  // namespace twinwire::cli
