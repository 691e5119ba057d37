// SPDX-License-Identifier: Apache-2.0
#include "cli/plants_crew.h"

#include <algorithm>

#include "cli/watched_run.h"

namespace twinwire::cli {
namespace {

void fill(std::array<char, 64>& to, std::string_view from) {
  to.fill('\0');
  from.copy(to.data(), to.size() - 1);
}

}  // namespace

PlantsCrew::PlantsCrew(const Tool& tool, PlantsPlan plan, unsigned jobs, Duration hang_after)
    : tool_(&tool),
      plan_(std::move(plan)),
      hang_after_(hang_after),
      slots_(jobs != 0 ? jobs : processors()),
      rounds_(plan_.jobs_total()) {
  workers_.resize(jobs != 0 ? jobs : processors());
  for (std::size_t i = 0; i < workers_.size(); ++i) start(i);
}

void PlantsCrew::start(std::size_t worker) {
  Slot& slot = slots_[worker];
  workers_[worker] = std::make_unique<Child>(
      Child::Options{.pulse = &slot.pulse, .hang_after = hang_after_, .capture_stderr = true},
      [this, &slot] { return work(slot); });
}

int PlantsCrew::work(Slot& slot) {
  const Running running(slot.pulse);
  StackPool stacks;
  for (;;) {
    if (!slot.goes_on) {
      slot.job.store(shared_->next.fetch_add(1));
      slot.seeds.store(0);
    }
    slot.goes_on = false;
    if (slot.job.load() >= plan_.jobs_total()) return 0;
    run_round(slot, slot.job.load(), stacks);
    rounds_[slot.job.load()].over = true;
    shared_->done.fetch_add(1);
  }
}

RunSpec PlantsCrew::spec_of(std::uint64_t job) const {
  RunSpec spec;
  spec.base = plan_.search_of(job) == Search::random ? RunSpec::Base::all : RunSpec::Base::swarm;
  spec.transport =
      !plan_.transport.empty()
          ? plan_.transport
          : std::string(tool_->plants.find(plan_.plants[plan_.plant_of(job)])->transport);
  return spec;
}

// A seed that fails on the healthy transport, too, detects nothing.
bool PlantsCrew::fails_without_plant(const laws::WorldRun& run, StackPool& stacks) {
  tool_->plants.activate("");
  const laws::Verdict verdict = laws::run_in_world(run, stacks);
  tool_->plants.activate(plant_);
  return verdict.kind != laws::VerdictKind::pass;
}

bool PlantsCrew::detects(Slot& slot, std::uint64_t job, const laws::WorldRun& run,
                         StackPool& stacks) {
  fill(slot.scenario, run.scenario->name);
  const laws::Verdict verdict = laws::run_in_world(run, stacks);
  if (verdict.kind == laws::VerdictKind::pass || fails_without_plant(run, stacks)) return false;
  PlantRound& round = rounds_[job];
  round.seeds = slot.seeds.load();
  fill(round.key, verdict.failure_key());
  fill(round.scenario, run.scenario->name);
  round.detected = true;
  return true;
}

void PlantsCrew::run_round(Slot& slot, std::uint64_t job, StackPool& stacks) {
  plant_ = plan_.plants[plan_.plant_of(job)];
  if (plan_.search_of(job) == Search::exhaustive) return run_cases(slot, job, stacks);
  tool_->plants.activate(plant_);
  RunSpec spec = spec_of(job);
  std::vector<laws::WorldRun> runs;
  const std::uint64_t first = PlantsPlan::first_seed(job % plan_.rounds);
  for (const std::string& scenario : plan_.scenarios) {
    spec.scenario = scenario;
    if (scenario_named(*tool_, scenario).bodies[transport_named(spec.transport)] == nullptr)
      continue;
    runs.push_back(spec.world_run(*tool_, first));
    runs.back().options.progress = &slot.pulse.beats;
  }
  for (std::uint64_t i = slot.seeds.load(); i < plan_.seeds_max; ++i) {
    slot.seeds.store(i + 1);
    for (laws::WorldRun& run : runs) {
      run.options.seed = first + i;
      run.options.faults = spec.plan(first + i);
      if (detects(slot, job, run, stacks)) return;
    }
  }
}

const PlantsCases& PlantsCrew::cases_over(std::size_t transport, StackPool& stacks) {
  const auto known = cases_.find(transport);
  if (known != cases_.end()) return known->second;
  tool_->plants.activate("");
  return cases_.try_emplace(transport, *tool_->registry, transport, stacks).first->second;
}

void PlantsCrew::run_cases(Slot& slot, std::uint64_t job, StackPool& stacks) {
  const PlantsCases& cases = cases_over(transport_named(spec_of(job).transport), stacks);
  tool_->plants.activate(plant_);
  const std::uint64_t start = PlantsPlan::first_seed(job % plan_.rounds);
  const std::uint64_t end = std::min(plan_.seeds_max, cases.size());
  for (std::uint64_t i = slot.seeds.load(); i < end; ++i) {
    slot.seeds.store(i + 1);
    laws::WorldRun run = cases.run(start, i);
    run.options.progress = &slot.pulse.beats;
    if (detects(slot, job, run, stacks)) return;
  }
}

laws::WorldRun PlantsCrew::run_of(const Slot& slot, StackPool& stacks) {
  const std::uint64_t job = slot.job.load();
  const std::uint64_t first = PlantsPlan::first_seed(job % plan_.rounds);
  const std::uint64_t nth = slot.seeds.load() - 1;
  RunSpec spec = spec_of(job);
  if (plan_.search_of(job) == Search::exhaustive)
    return cases_over(transport_named(spec.transport), stacks).run(first, nth);
  spec.scenario = slot.scenario.data();
  return spec.world_run(*tool_, first + nth);
}

// The same as fails_without_plant, of a run on which a worker died.
bool PlantsCrew::dies_without_plant(const Slot& slot) {
  Shared<Pulse> pulse;
  Child child({.pulse = &*pulse, .hang_after = hang_after_, .capture_stderr = true}, [&] {
    StackPool stacks;
    tool_->plants.activate("");
    return run_watched(run_of(slot, stacks), *pulse).kind == laws::VerdictKind::pass ? 0 : 1;
  });
  const Death death = child.wait();
  return death.kind != Death::Kind::ended || death.exit_code != 0;
}

void PlantsCrew::attend(Duration timeout) {
  wait_for_any(workers_, timeout);
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (!workers_[i]) continue;
    const auto death = workers_[i]->poll();
    if (!death) continue;
    workers_[i].reset();
    Slot& slot = slots_[i];
    if (slot.job.load() >= plan_.jobs_total()) continue;
    if (dies_without_plant(slot)) {
      slot.goes_on = true;
      start(i);
      continue;
    }
    PlantRound& round = rounds_[slot.job.load()];
    round.seeds = slot.seeds.load();
    fill(round.key, death->failure_key());
    round.scenario = slot.scenario;
    round.detected = round.over = true;
    shared_->done.fetch_add(1);
    start(i);
  }
}

bool PlantsCrew::working() const noexcept {
  return std::any_of(workers_.begin(), workers_.end(),
                     [](const auto& worker) { return worker != nullptr; });
}

std::vector<PlantRound> PlantsCrew::rounds_of(std::size_t plant, std::size_t search) const {
  std::vector<PlantRound> rounds;
  rounds.reserve(plan_.rounds);
  for (unsigned i = 0; i < plan_.rounds; ++i)
    rounds.push_back(rounds_[(plant * plan_.searches.size() + search) * plan_.rounds + i]);
  return rounds;
}

}  // namespace twinwire::cli
