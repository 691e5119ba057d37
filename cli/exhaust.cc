// SPDX-License-Identifier: Apache-2.0
// exhaust: not seeds but cases: every one that a mode knows (props/exhaustive/mode.h), and how many there were, bit and
// held. exhaust_crew.h keeps the workers.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>

#include "cli/capsule.h"
#include "cli/exhaust_crew.h"
#include "cli/interrupt.h"
#include "cli/planted_tool.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/run_options.h"
#include "cli/run_spec.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/watched_run.h"
#include "cli/whole_file.h"
#include "cli/whole_number.h"

namespace twinwire::cli {
namespace {

struct ExhaustArguments {
  std::string mode = "all";
  std::string transport = "all";
  std::string plant;
  unsigned jobs = 0;
  std::uint64_t every = 1;
  std::string capsules = "capsules";
  std::string hang_after = "10s";
  int failures = -1;  // -1: not given

  Duration hang_after_parsed() const { return parse_hang_after(hang_after); }
  // How many kinds of failure end it; 0: none does.
  std::uint64_t failures_max() const {
    if (failures >= 0) return static_cast<std::uint64_t>(failures);
    return plant.empty() ? 0 : 1;
  }
};

// What one mode over one transport came to.
struct Part {
  const exhaustive::Mode* mode;
  std::size_t transport;
  std::uint64_t cases = 0;
  std::uint64_t broken = 0;
  ExitCode code = ExitCode::pass;
  bool interrupted = false;
  bool enough = false;  // as many kinds of failure as were asked for
};

std::vector<const exhaustive::Mode*> modes_named(const std::string& name) {
  std::vector<const exhaustive::Mode*> chosen;
  std::vector<std::string_view> names{"all"};
  for (const exhaustive::Mode& mode : exhaustive::modes()) {
    names.push_back(mode.name);
    if (name == "all" || name == mode.name) chosen.push_back(&mode);
  }
  if (chosen.empty())
    bad_usage("there is no mode named '" + name + "'" + suggestion(name, names) +
              " (there are: " + quoted_list(names) + ")");
  return chosen;
}

std::vector<std::size_t> transports_named(const std::string& name) {
  if (name != "all") return {transport_named(name)};
  std::vector<std::size_t> all(laws::transport_count);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  return all;
}

// Learning the cases runs worlds, which may die: in a child first, which dies instead.
exhaustive::Plan make_plan(const Tool& tool, const exhaustive::Mode& mode, std::size_t transport,
                           Duration hang_after) {
  const auto plan = [&] {
    StackPool stacks;
    return mode.plan(*tool.registry, transport, stacks);
  };
  Shared<Pulse> pulse;
  Child child({.pulse = &*pulse, .hang_after = hang_after, .capture_stderr = true}, [&] {
    (void)plan();
    return 0;
  });
  const Death death = child.wait();
  if (death.kind == Death::Kind::ended) return plan();
  exhaustive::Plan none;
  none.complaint = death.failure_key() + ", " + death.sentence() + "\n" + death.said;
  return none;
}

void print_tallies(const exhaustive::Plan& plan, const std::vector<CaseTally>& tallies) {
  std::vector<std::vector<std::string>> rows{{"fault", "cases", "bit", "passed", "broken"}};
  rows[0].insert(rows[0].end(), plan.outcomes.begin(), plan.outcomes.end());
  CaseTally sum{};
  const auto add = [&](const std::string& name, const CaseTally& tally) {
    rows.push_back({name, with_commas(tally.cases), with_commas(tally.bit),
                    with_commas(tally.passed), with_commas(tally.cases - tally.passed)});
    for (std::size_t n = 0; n < plan.outcomes.size(); ++n)
      rows.back().push_back(with_commas(tally.outcomes[n]));
  };
  for (std::size_t i = 0; i < tallies.size(); ++i) {
    if (tallies[i].cases == 0) continue;
    add(plan.kinds[i].name, tallies[i]);
    sum.cases += tallies[i].cases;
    sum.bit += tallies[i].bit;
    sum.passed += tallies[i].passed;
    for (std::size_t n = 0; n < plan.outcomes.size(); ++n)
      sum.outcomes[n] += tallies[i].outcomes[n];
  }
  add("all", sum);
  std::printf("%s", format_table(rows, true).c_str());
}

// What the child that runs a case again tells.
struct Ran {
  Pulse pulse;
  std::uint64_t hash;
  std::uint64_t steps;
};

// The first case of a kind of failure once more, alone, kept as a capsule that is made of its decisions.
std::string keep_case(const Tool& tool, const ExhaustArguments& options, std::size_t transport,
                      const exhaustive::Plan& plan, const CaseFailure& failure) {
  const exhaustive::Case& one = plan.cases[failure.first];
  const exhaustive::Base& base = plan.bases[one.base];
  RunSpec spec;
  spec.scenario = base.scenario;
  spec.transport = std::string(laws::transport_names()[transport]);
  spec.base = RunSpec::Base::none;
  spec.knobs = base.knobs;
  spec.plant = options.plant;
  Capsule capsule = make_capsule(spec, base.seed, failure.key, failure.detail);
  capsule.of_decisions = true;
  capsule.decisions = one.edits;
  // A run that comes to its end has a hash. It is made in a child, which may die of it instead.
  Shared<Ran> ran;
  Child child(
      {.pulse = &ran->pulse, .hang_after = options.hang_after_parsed(), .capture_stderr = true},
      [&] {
        const laws::Verdict verdict =
            run_watched(exhaustive::run_of(*tool.registry, transport, plan, one), ran->pulse);
        ran->hash = verdict.report.hash;
        ran->steps = verdict.report.steps;
        return 0;
      });
  if (child.wait().kind == Death::Kind::ended) {
    capsule.hash = ran->hash;
    capsule.cost = ran->steps;
  }
  // Many cases of one seed may fail alike: each has its number.
  std::string path = capsule_path(capsule, options.capsules);
  path.insert(path.rfind(".capsule"), "-" + std::to_string(failure.first));
  try {
    make_folder_of(path, "capsule");
    write_capsule(capsule, path);
  } catch (const Failure& unwritable) {
    std::fflush(stdout);
    std::fprintf(stderr, "twinwire: %s\n", unwritable.what());
    return {};
  }
  return path;
}

void report_failure(const Tool& tool, const ExhaustArguments& options, std::size_t transport,
                    const exhaustive::Plan& plan, const CaseFailure& failure) {
  const exhaustive::Base& base = plan.bases[plan.cases[failure.first].base];
  std::printf("\n%s, %s, in %s; the first is case %zu%s\n%s", failure.kind.c_str(),
              failure.key.c_str(),
              failure.count == 1 ? "1 case" : (with_commas(failure.count) + " cases").c_str(),
              failure.first, base.name.empty() ? "" : (" (" + base.name + ")").c_str(),
              indented(failure.detail).c_str());
  const std::string path = keep_case(tool, options, transport, plan, failure);
  if (!path.empty())
    std::printf("  %s replay %s\n", shell_word(tool.name).c_str(), shell_word(path).c_str());
}

void run_part(const Tool& tool, const ExhaustArguments& options, unsigned jobs, Part& part) {
  const std::string transport(laws::transport_names()[part.transport]);
  const TimePoint start = real_now();
  const exhaustive::Plan plan =
      make_plan(tool, *part.mode, part.transport, options.hang_after_parsed());
  if (!plan.complaint.empty()) {
    std::printf("\n%s over %s: the benign run fails: %s\n", std::string(part.mode->name).c_str(),
                transport.c_str(), plan.complaint.c_str());
    part.code = code_of(plan.complaint.substr(0, plan.complaint.find(',')));
    part.broken = 1;
    return;
  }
  if (plan.cases.empty()) return;
  ExhaustCrew crew(tool, part.transport, plan, options.every, jobs, options.hang_after_parsed());
  const Interrupt interrupt;
  Progress progress("cases", crew.total(), Duration::zero());
  const std::uint64_t failures_max = options.failures_max();
  while (crew.working() && interrupt.count() == 0 && !part.enough) {
    crew.attend(std::chrono::milliseconds(20));
    const std::size_t kinds = crew.failures().size();
    part.enough = failures_max != 0 && kinds >= failures_max;
    progress.update(crew.done(),
                    kinds == 0 ? "" : ", " + std::to_string(kinds) + " kinds of failure");
  }
  part.interrupted = interrupt.count() > 0;
  crew.kill();
  progress.clear();
  const std::string verb = part.interrupted ? "interrupted after "
                           : part.enough    ? "stopped after "
                                            : "";
  std::printf("\n%s over %s: %s%s cases in %s\n", std::string(part.mode->name).c_str(),
              transport.c_str(), verb.c_str(), with_commas(crew.done()).c_str(),
              format_duration(real_now() - start).c_str());
  const std::vector<CaseTally> tallies = crew.tallies();
  print_tallies(plan, tallies);
  for (const std::string& note : plan.notes) std::printf("%s\n", note.c_str());
  for (const CaseTally& tally : tallies) {
    part.cases += tally.cases;
    part.broken += tally.cases - tally.passed;
  }
  std::vector<CaseFailure> failures = crew.failures();
  for (const CaseFailure& failure : failures) {
    report_failure(tool, options, part.transport, plan, failure);
    part.code = graver(part.code, code_of(failure.key));
  }
  std::fflush(stdout);
}

ExitCode exhaust(const Tool& tool, const ExhaustArguments& options) {
  const auto modes = modes_named(options.mode);
  const auto transports = transports_named(options.transport);
  if (tool.registry->find("exchange") == nullptr)
    bad_usage(
        "this tool does not have the scenario 'exchange', which is what exhaust breaks; begin with "
        "built_in_scenarios()");
  (void)options.hang_after_parsed();
  require_plant(tool, options.plant);
  const unsigned jobs = options.jobs != 0 ? options.jobs : processors();
  const TimePoint start = real_now();
  ExitCode code = ExitCode::pass;
  std::uint64_t cases = 0;
  std::uint64_t broken = 0;
  std::size_t parts = 0;
  for (const exhaustive::Mode* mode : modes)
    for (const std::size_t transport : transports) {
      Part part{.mode = mode, .transport = transport};
      run_part(tool, options, jobs, part);
      cases += part.cases;
      broken += part.broken;
      parts += part.cases != 0 || part.broken != 0 ? 1 : 0;
      code = graver(code, part.code);
      if (part.interrupted)
        throw Failure(ExitCode::environment, "interrupted; what was not run is not known to hold");
    }
  if (parts == 0)
    bad_usage("the mode '" + options.mode + "' is not about the transport '" + options.transport +
              "'");
  std::printf("\n%s cases in %s with %u jobs, %s broken%s\n", with_commas(cases).c_str(),
              format_duration(real_now() - start).c_str(), jobs, with_commas(broken).c_str(),
              options.every == 1 ? "" : ("; one case in " + with_commas(options.every)).c_str());
  return code;
}

}  // namespace

void add_exhaust(CLI::App& app, const Tool& tool, ExitCode& code) {
  auto* verb = app.add_subcommand(
      "exhaust", "every fault in every place of a small connection: totals, not samples");
  auto options = std::make_shared<ExhaustArguments>();
  std::string known;
  for (const exhaustive::Mode& mode : exhaustive::modes())
    known += "; " + std::string(mode.name) + ": " + std::string(mode.summary);
  verb->add_option("--mode", options->mode, "all, or one" + known)->capture_default_str();
  verb->add_option("--transport", options->transport, "all, or one")->capture_default_str();
  verb->add_option("--jobs", options->jobs, "worker processes; one for each processor unless given")
      ->check(CLI::Range(1, 4096));
  verb->add_option("--every", options->every, "run one case in so many; 1: all")
      ->check(whole_number(1, 1'000'000'000))
      ->capture_default_str();
  verb->add_option("--plant", options->plant, "switch a planted bug on; see `list`")
      ->type_name("NAME");
  verb->add_option("--failures", options->failures,
                   "stop at so many kinds of failure, 0: go on to the end (the default; with "
                   "--plant it is 1)")
      ->check(whole_number(0, 1'000'000));
  verb->add_option("--capsules", options->capsules, "where failures are kept")
      ->capture_default_str();
  verb->add_option("--hang-after", options->hang_after,
                   "a case that resumes no fiber for so long is a hang")
      ->capture_default_str();
  verb->callback([&tool, &code, options] { code = exhaust(tool, *options); });
}

}  // namespace twinwire::cli
