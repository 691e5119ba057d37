// SPDX-License-Identifier: Apache-2.0
// The minimiser's search, over runs that are functions: what must stay stays, all else goes, in few runs.
// ctest: no_tsan
#include "cli/minimiser.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cli/lean_plan.h"

namespace twinwire::cli {
namespace {

using sim::Decision;
using sim::Site;

// A made-up run: it makes the decisions that it is given, has the numbers that it is given, and fails as `fails` says.
struct Made {
  std::vector<laws::Shape> shapes;
  std::function<bool(const Variant&, const Made&)> fails;
  std::function<std::uint64_t(std::uint64_t run)> hash = [](std::uint64_t) { return 7; };
  std::function<std::uint64_t(const Variant&)> steps = [](const Variant&) { return 100; };
  std::uint64_t runs = 0;

  std::int64_t number(const Variant& variant, std::string_view name) const {
    for (const laws::Knob& knob : variant.knobs)
      if (knob.name == name) return knob.value;
    for (const laws::Shape& shape : shapes)
      if (shape.name == name) return shape.value;
    return 0;
  }
  Outcome run(const Variant& variant) {
    Outcome outcome;
    outcome.key = fails(variant, *this) ? "law_broken:it" : "pass";
    outcome.hash = hash(++runs);
    outcome.steps = steps(variant);
    outcome.made = variant.decisions;
    outcome.shapes = shapes;
    for (laws::Shape& shape : outcome.shapes) shape.value = number(variant, shape.name);
    return outcome;
  }
};

std::vector<Decision> many_decisions(std::size_t count) {
  std::vector<Decision> decisions;
  for (std::size_t i = 0; i < count; ++i)
    decisions.push_back({i % 3 == 0 ? Site::short_read : Site::short_write, i, 0, 1000 + i});
  return decisions;
}

const Decision* find(const Variant& variant, std::uint64_t entity) {
  const auto at = std::find_if(variant.decisions.begin(), variant.decisions.end(),
                               [&](const Decision& d) { return d.entity == entity; });
  return at != variant.decisions.end() ? &*at : nullptr;
}

Minimiser over(
    Made& made, std::size_t decisions, std::function<bool()> stop = [] { return false; }) {
  Variant start;
  start.decisions = many_decisions(decisions);
  Minimiser::Plan plan;
  plan.key = "law_broken:it";
  plan.run = [&made](const Variant& variant) { return made.run(variant); };
  plan.stop = std::move(stop);
  Outcome outcome = made.run(start);
  EXPECT_EQ(outcome.key, plan.key);
  return {std::move(plan), std::move(start), std::move(outcome)};
}

TEST(Minimiser, keeps_the_decisions_that_matter_at_their_lowest_values) {
  Made made;
  made.fails = [](const Variant& v, const Made&) {
    const Decision* a = find(v, 20);
    const Decision* b = find(v, 300);
    const Decision* c = find(v, 301);
    return a != nullptr && a->choice >= 17 && b != nullptr && c != nullptr;
  };
  Minimiser minimiser = over(made, 412);
  minimiser.minimise();
  ASSERT_EQ(minimiser.best().decisions.size(), 3U);
  EXPECT_EQ(find(minimiser.best(), 20)->choice, 17U);
  EXPECT_EQ(find(minimiser.best(), 300)->choice, 1U);
  EXPECT_EQ(find(minimiser.best(), 301)->choice, 1U);
  EXPECT_LT(made.runs, 250U);
}

TEST(Minimiser, needs_a_few_runs_where_no_decision_matters) {
  Made made;
  made.fails = [](const Variant&, const Made&) { return true; };
  Minimiser minimiser = over(made, 5000);
  minimiser.minimise();
  EXPECT_TRUE(minimiser.best().decisions.empty());
  EXPECT_LE(made.runs, 5U);
}

TEST(Minimiser, keeps_all_where_all_matter) {
  Made made;
  made.fails = [](const Variant& v, const Made&) { return v.decisions.size() >= 40; };
  Minimiser minimiser = over(made, 40);
  minimiser.minimise();
  EXPECT_EQ(minimiser.best().decisions.size(), 40U);
}

TEST(Minimiser, lowers_the_numbers_of_the_scenario) {
  Made made;
  made.shapes = {{"messages", 200, 1, true}, {"size", 4096, 256, true}, {"end", 3, 0, false}};
  made.fails = [](const Variant& v, const Made& m) { return m.number(v, "messages") >= 23; };
  Minimiser minimiser = over(made, 0);
  minimiser.minimise();
  EXPECT_EQ(made.number(minimiser.best(), "messages"), 23);
  EXPECT_EQ(made.number(minimiser.best(), "size"), 256);
  EXPECT_EQ(made.number(minimiser.best(), "end"), 0);
}

TEST(Minimiser, takes_the_fewest_draws_that_must_come_from_the_seed) {
  Made made;
  for (int i = 1; i <= 100; ++i) made.shapes.push_back({"draw" + std::to_string(i), 5, 0, false});
  made.fails = [](const Variant& v, const Made& m) {
    const bool set = std::any_of(v.knobs.begin(), v.knobs.end(),
                                 [](const laws::Knob& knob) { return knob.name == "draws"; });
    return (!set || m.number(v, "draws") >= 12) && m.number(v, "draw12") >= 2;
  };
  Minimiser minimiser = over(made, 0);
  minimiser.minimise();
  EXPECT_EQ(made.number(minimiser.best(), "draws"), 12);
  EXPECT_EQ(made.number(minimiser.best(), "draw12"), 2);
  EXPECT_EQ(made.number(minimiser.best(), "draw11"), 0);
}

TEST(Minimiser, keeps_nothing_that_differs_from_run_to_run) {
  Made made;
  made.fails = [](const Variant&, const Made&) { return true; };
  made.hash = [](std::uint64_t run) { return run; };
  Minimiser minimiser = over(made, 10);
  minimiser.minimise();
  EXPECT_EQ(minimiser.best().decisions.size(), 10U);
}

TEST(Minimiser, keeps_nothing_that_takes_longer) {
  Made made;
  made.fails = [](const Variant&, const Made&) { return true; };
  made.steps = [](const Variant& v) { return v.decisions.size() < 10 ? 101 : 100; };
  Minimiser minimiser = over(made, 10);
  minimiser.minimise();
  EXPECT_EQ(minimiser.best().decisions.size(), 10U);
}

TEST(Minimiser, stops_when_told_to_and_has_the_best_so_far) {
  Made made;
  made.fails = [](const Variant& v, const Made&) { return find(v, 400) != nullptr; };
  bool stop = false;
  Variant start;
  start.decisions = many_decisions(412);
  Minimiser::Plan plan;
  plan.key = "law_broken:it";
  plan.run = [&](const Variant& variant) { return made.run(variant); };
  plan.stop = [&] { return stop; };
  plan.improved = [&](const Minimiser&) { stop = true; };
  Outcome outcome = made.run(start);
  Minimiser minimiser(std::move(plan), std::move(start), std::move(outcome));
  minimiser.minimise();
  EXPECT_LT(minimiser.best().decisions.size(), 412U);
  EXPECT_GT(minimiser.best().decisions.size(), 1U);
  EXPECT_NE(find(minimiser.best(), 400), nullptr);
}

TEST(Minimiser, asks_for_the_last_say) {
  Made made;
  made.fails = [](const Variant&, const Made&) { return true; };
  Variant start;
  start.decisions = many_decisions(20);
  Minimiser::Plan plan;
  plan.key = "law_broken:it";
  plan.run = [&](const Variant& variant) { return made.run(variant); };
  plan.stop = [] { return false; };
  plan.accepts = [](const Variant& variant) { return find(variant, 3) != nullptr; };
  Outcome outcome = made.run(start);
  Minimiser minimiser(std::move(plan), std::move(start), std::move(outcome));
  minimiser.minimise();
  ASSERT_EQ(minimiser.best().decisions.size(), 1U);
  EXPECT_EQ(minimiser.best().decisions[0].entity, 3U);
}

TEST(lean_plan, keeps_the_rules_that_are_needed_and_names_their_choices_anew) {
  PlannedRun run{sim::FaultPlan::none(), {}};
  for (const char* fault : {"short_read=0.5", "reset@server=0.1:5", "crash@server=1/1s..2s",
                            "early_fin=1:2000/0ms..9s", "calm=10s"})
    ASSERT_TRUE(run.plan.set(fault).has_value()) << fault;
  run.decisions = {{Site::early_fin, 7, sim::appointment(Site::early_fin, 2), 1},
                   {Site::early_fin, 7, 0, 30},
                   {Site::crash, 8, sim::appointment(Site::crash, 1), 9},
                   {Site::short_read, 9, 3, 1}};
  EXPECT_TRUE(make_lean(run, [](const PlannedRun& candidate) {
    return std::any_of(candidate.decisions.begin(), candidate.decisions.end(),
                       [&](const Decision& d) {
                         return d.site == Site::early_fin && d.occurrence > 0 &&
                                candidate.plan.rules[d.occurrence - 1].site == Site::early_fin;
                       });
  }));
  EXPECT_EQ(run.plan.to_text(), "early_fin=1:2000/..9s");
  ASSERT_EQ(run.decisions.size(), 3u);
  EXPECT_EQ(run.decisions[0].occurrence, sim::appointment(Site::early_fin, 0));
  EXPECT_EQ(run.decisions[1].occurrence, 0u);
  EXPECT_EQ(run.decisions[2].occurrence, 3u);
}

}  // namespace
}  // namespace twinwire::cli
