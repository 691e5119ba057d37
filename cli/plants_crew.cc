// SPDX-License-Identifier: Apache-2.0
#include "cli/plants_crew.h"

#include <poll.h>

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
    shared_->done.fetch_add(1);
  }
}

RunSpec PlantsCrew::spec_of(std::uint64_t job) const {
  RunSpec spec;
  spec.base = plan_.search_of(job);
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

void PlantsCrew::run_round(Slot& slot, std::uint64_t job, StackPool& stacks) {
  plant_ = plan_.plants[plan_.plant_of(job)];
  tool_->plants.activate(plant_);
  PlantRound& round = rounds_[job];
  RunSpec spec = spec_of(job);
  std::vector<laws::WorldRun> runs;
  const std::uint64_t first = PlantsPlan::first_seed(job % plan_.rounds);
  for (const std::string& scenario : plan_.scenarios) {
    spec.scenario = scenario;
    if (scenario_named(*tool_, scenario).bodies[transport_named(spec.transport)] == nullptr)
      continue;
    runs.push_back(spec.world_run(*tool_, first));
    runs.back().options.progress = &slot.pulse.steps;
  }
  for (std::uint64_t i = slot.seeds.load(); i < plan_.seeds_max; ++i) {
    slot.seeds.store(i + 1);
    for (laws::WorldRun& run : runs) {
      fill(slot.scenario, run.scenario->name);
      run.options.seed = first + i;
      run.options.faults = spec.plan(first + i);
      const laws::Verdict verdict = laws::run_in_world(run, stacks);
      if (verdict.kind == laws::VerdictKind::pass || fails_without_plant(run, stacks)) continue;
      round.seeds = i + 1;
      fill(round.key, verdict.failure_key());
      fill(round.scenario, run.scenario->name);
      round.detected = true;
      return;
    }
  }
}

// The same for a seed on which a worker died.
bool PlantsCrew::dies_without_plant(const Slot& slot) {
  RunSpec spec = spec_of(slot.job.load());
  spec.scenario = slot.scenario.data();
  const std::uint64_t seed =
      PlantsPlan::first_seed(slot.job.load() % plan_.rounds) + slot.seeds.load() - 1;
  Shared<Pulse> pulse;
  Child child({.pulse = &*pulse, .hang_after = hang_after_, .capture_stderr = true}, [&] {
    tool_->plants.activate("");
    return run_watched(spec.world_run(*tool_, seed), *pulse).kind == laws::VerdictKind::pass ? 0
                                                                                             : 1;
  });
  const Death death = child.wait();
  return death.kind != Death::Kind::ended || death.exit_code != 0;
}

void PlantsCrew::attend(Duration timeout) {
  std::vector<pollfd> waited;
  for (const auto& worker : workers_)
    if (worker) waited.push_back({worker->descriptor(), POLLIN, 0});
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
  ::poll(waited.data(), waited.size(), static_cast<int>(ms));
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
    round.detected = true;
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
