// SPDX-License-Identifier: Apache-2.0
#include "cli/minimise_capsule.h"

#include <algorithm>

#include "cli/build_id.h"
#include "cli/lean_plan.h"
#include "cli/minimiser.h"
#include "cli/text.h"

namespace twinwire::cli {
namespace {

// A variant that hangs is waited for that long; the result itself for as long as was asked.
constexpr Duration variant_hang_max = std::chrono::seconds(2);

RunSize size_of(const Outcome& outcome) {
  RunSize size;
  size.decisions = outcome.made.size();
  size.steps = outcome.steps;
  for (const laws::Shape& shape : outcome.shapes) {
    if (shape.knob)
      size.knobs.push_back({shape.name, shape.value});
    else if (shape.value != shape.plain)
      ++size.numbers;
  }
  return size;
}

// A variant that goes on for ever is no smaller run: it may take a while longer than the first, no more.
laws::WorldRun bounded(const laws::WorldRun& run, const Outcome& first) {
  laws::WorldRun result = run;
  if (!first.died() && !first.key.starts_with("no_progress:out"))
    result.options.steps_max = std::min(result.options.steps_max, first.steps * 4 + 100'000);
  return result;
}

// The first run says what is to stay, and is then made once more by its decisions alone.
class Start {
 public:
  Start(const Tool& tool, const Subject& subject, const MinimiseLimits& limits)
      : trials_(tool, subject.run, subject.plant, limits.hang_after), limits_(&limits) {
    Variant asked;
    asked.decisions = subject.run.options.edits;
    asked.knobs = subject.run.knobs;
    asked.seeded = subject.run.options.base == sim::Decisions::Base::seeded;
    const Outcome first = run(asked);
    key = subject.capsule ? subject.capsule->key : first.key;
    if (first.key == "pass")
      bad_usage((subject.capsule ? "the capsule " + subject.text : "seed " + subject.text) +
                (subject.capsule ? " does not fail any more: " : " does not fail: ") +
                "its run breaks no law");
    if (first.key != key)
      bad_usage("the capsule " + subject.text +
                " does not fail any more as it did: its run gives " + first.key + " and not " +
                key);
    if (!first.complete)
      bad_usage("the run of " + subject.text + " makes more decisions than can be minimised");
    variant.knobs = asked.knobs;
    variant.decisions = first.made;
    outcome = run(variant);
    if (outcome.key != key || outcome.hash != first.hash)
      throw Failure(ExitCode::nondeterminism,
                    "the run of " + subject.text + " gives " + first.key +
                        ", and made once more from its decisions alone " + outcome.key +
                        ": it depends on more than its seed, and cannot be minimised");
  }

  std::string key;
  Variant variant;
  Outcome outcome;

 private:
  Outcome run(const Variant& asked) {
    if (auto result = trials_.run(asked, limits_->interrupted)) return *result;
    throw Failure(ExitCode::environment,
                  "interrupted before the run was minimised; nothing was written");
  }

  Trials trials_;
  const MinimiseLimits* limits_;
};

// A failing run by its decisions, as far as it is minimised. What its capsule will name of the plan is all that it has.
struct Smallest {
  Variant variant;
  Outcome outcome;
  laws::WorldRun run;
};

// As a reader of the capsule will have it.
void give_plan(laws::WorldRun& run, const sim::FaultPlan& plan) {
  run.options.faults = plan_from_text(plan.to_text());
}

using Accepts = std::function<bool(Trials&, Variant)>;

void make_plan_lean(const Tool& tool, const Subject& subject, Smallest& smallest,
                    Duration hang_after, const std::function<bool()>& stop,
                    const Accepts& accepts) {
  const std::string key = smallest.outcome.key;
  PlannedRun planned{smallest.run.options.faults, smallest.variant.decisions};
  make_lean(planned, [&](PlannedRun& candidate) {
    laws::WorldRun run = smallest.run;
    give_plan(run, candidate.plan);
    Trials trials(tool, run, subject.plant, hang_after);
    Variant variant = smallest.variant;
    variant.decisions = candidate.decisions;
    const auto outcome = trials.run(variant, stop);
    if (!outcome || outcome->key != key || !outcome->complete || !accepts(trials, variant))
      return false;
    // A choice that nobody came to goes by itself.
    candidate.decisions = variant.decisions = outcome->made;
    smallest = {std::move(variant), *outcome, std::move(run)};
    return true;
  });
}

Capsule capsule_of(const Subject& subject, const Smallest& smallest, std::size_t was) {
  const Outcome& outcome = smallest.outcome;
  Capsule capsule;
  capsule.build = build_id();
  capsule.versions = build_versions();
  capsule.scenario = subject.run.scenario->name;
  capsule.transport = subject.transport;
  capsule.seed = subject.seed;
  capsule.plant = subject.plant;
  capsule.faults = smallest.run.options.faults.to_text();
  capsule.knobs = smallest.variant.knobs;
  // With every knob as it was read, a later build whose defaults differ still makes this run.
  for (const laws::Shape& shape : outcome.shapes)
    if (shape.knob && std::none_of(capsule.knobs.begin(), capsule.knobs.end(),
                                   [&](const laws::Knob& k) { return k.name == shape.name; }))
      capsule.knobs.push_back({shape.name, shape.value});
  capsule.of_decisions = true;
  capsule.was = subject.capsule && subject.capsule->was ? *subject.capsule->was : was;
  if (!outcome.died()) capsule.cost = outcome.steps;
  capsule.key = outcome.key;
  capsule.hash = outcome.hash;
  capsule.detail = outcome.detail;
  capsule.decisions = outcome.made;
  return capsule;
}

laws::WorldRun run_of(const Subject& subject, const Capsule& capsule) {
  laws::WorldRun run = subject.run;
  run.knobs = capsule.knobs;
  run.options.faults = plan_from_text(capsule.faults);
  run.options.base = sim::Decisions::Base::benign;
  run.options.edits = capsule.decisions;
  return run;
}

}  // namespace

std::string size_change(const RunSize& before, const RunSize& now) {
  std::string text =
      "decisions " + with_commas(before.decisions) + " → " + with_commas(now.decisions);
  if (before.numbers != 0)
    text += ", plan " + with_commas(before.numbers) + " → " + with_commas(now.numbers);
  for (const laws::Knob& knob : before.knobs)
    for (const laws::Knob& lower : now.knobs)
      if (lower.name == knob.name && lower.value != knob.value)
        text += ", " + knob.name + " " + std::to_string(knob.value) + " → " +
                std::to_string(lower.value);
  if (now.steps != 0)
    text += ", steps " + with_commas(before.steps) + " → " + with_commas(now.steps);
  return text;
}

Minimised minimise_subject(
    const Tool& tool, const Subject& subject, const MinimiseLimits& limits,
    const std::function<void(Duration, const RunSize&, const RunSize&)>& told) {
  const TimePoint began = real_now();
  Start start(tool, subject, limits);
  Minimised result;
  result.before = size_of(start.outcome);
  // The first runs do not count: those of a hang alone would use up the time.
  const TimePoint search = real_now();
  const auto stop = [&] { return limits.interrupted() || real_now() - search >= limits.time_max; };
  // What fails on the healthy transport, too, shows nothing of the planted bug: a plan without sense, for one.
  const Accepts accepts = [&](Trials& trials, Variant variant) {
    if (subject.plant.empty()) return true;
    variant.planted = false;
    const auto healthy = trials.run(variant, stop);
    return healthy && healthy->key == "pass";
  };
  const Duration hang_after = std::min(limits.hang_after, variant_hang_max);
  Smallest smallest{start.variant, start.outcome, bounded(subject.run, start.outcome)};
  give_plan(smallest.run, laws::plan_of(subject.run));
  make_plan_lean(tool, subject, smallest, hang_after, stop, accepts);

  Trials trials(tool, smallest.run, subject.plant, hang_after);
  Minimiser::Plan plan;
  plan.key = start.key;
  plan.run = [&](const Variant& variant) { return trials.run(variant, stop); };
  plan.stop = stop;
  plan.improved = [&](const Minimiser& now) {
    told(real_now() - began, result.before, size_of(now.outcome()));
  };
  plan.accepts = [&](const Variant& variant) { return accepts(trials, variant); };
  Minimiser minimiser(std::move(plan), smallest.variant, smallest.outcome);
  minimiser.minimise();
  smallest.variant = minimiser.best();
  smallest.outcome = minimiser.outcome();
  // A rule whose choice has gone may go as well.
  make_plan_lean(tool, subject, smallest, hang_after, stop, accepts);
  result.finished = !stop();
  result.runs = minimiser.runs();

  // Twice more, each in a process of its own and with nothing but what the capsule says, as its reader will run it.
  result.capsule = capsule_of(subject, smallest, result.before.decisions);
  result.run = run_of(subject, result.capsule);
  Trials last(tool, result.run, subject.plant, limits.hang_after);
  const Variant again{result.capsule.decisions, result.capsule.knobs};
  for (int i = 0; i < 2; ++i) {
    last.fresh();
    const auto outcome = last.run(again, [] { return false; });
    if (!outcome || outcome->key != start.key)
      throw Failure(ExitCode::nondeterminism,
                    "the minimised run, made from its capsule alone, gives " +
                        (outcome ? outcome->key : "nothing") + " and not " + start.key +
                        "; nothing was written");
    if (outcome->hash != smallest.outcome.hash)
      throw Failure(ExitCode::nondeterminism,
                    "the minimised run does not give the same twice; nothing was written");
  }
  result.after = size_of(smallest.outcome);
  result.took = real_now() - began;
  return result;
}

}  // namespace twinwire::cli
