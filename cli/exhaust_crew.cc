// SPDX-License-Identifier: Apache-2.0
#include "cli/exhaust_crew.h"

#include <algorithm>
#include <map>
#include <utility>

namespace twinwire::cli {
namespace {

constexpr std::uint64_t chunk_most = 64;

// Every nth of each kind, so that a kind of few cases is not left out.
std::vector<std::uint32_t> choose_cases(const exhaustive::Plan& plan, std::uint64_t every) {
  std::vector<std::uint32_t> chosen;
  std::vector<std::uint64_t> seen(plan.kinds.size(), 0);
  for (std::size_t i = 0; i < plan.cases.size(); ++i)
    if (seen[plan.cases[i].kind]++ % every == 0) chosen.push_back(static_cast<std::uint32_t>(i));
  return chosen;
}

}  // namespace

ExhaustCrew::ExhaustCrew(const Tool& tool, std::size_t transport, const exhaustive::Plan& plan,
                         std::uint64_t every, unsigned jobs, Duration hang_after)
    : tool_(&tool),
      transport_(transport),
      plan_(&plan),
      hang_after_(hang_after),
      chosen_(choose_cases(plan, every)),
      slots_(jobs),
      jobs_(jobs) {
  chunk_ = std::clamp<std::uint64_t>(chosen_.size() / (std::uint64_t{jobs} * 16), 1, chunk_most);
  workers_.resize(jobs);
  for (std::size_t i = 0; i < jobs; ++i) start(i);
}

void ExhaustCrew::start(std::size_t worker) {
  Slot& slot = slots_[worker];
  workers_[worker] = std::make_unique<Child>(
      Child::Options{.pulse = &slot.hunt.pulse, .hang_after = hang_after_, .capture_stderr = true},
      [this, &slot] { return work(slot); });
}

int ExhaustCrew::work(Slot& slot) {
  const Running running(slot.hunt.pulse);
  StackPool stacks;
  HuntSlot& at = slot.hunt;
  for (;; at.offset.fetch_add(1)) {
    if (at.offset.load() >= at.chunk_end.load()) {
      const std::uint64_t claimed = board_->next.fetch_add(chunk_);
      if (claimed >= chosen_.size()) return 0;
      at.offset.store(claimed);
      at.chunk_end.store(std::min<std::uint64_t>(chosen_.size(), claimed + chunk_));
    }
    run_case(slot, plan_->cases[chosen_[at.offset.load()]], at.offset.load(), stacks);
    at.done.fetch_add(1);
  }
}

void ExhaustCrew::run_case(Slot& slot, const exhaustive::Case& one, std::uint64_t offset,
                           StackPool& stacks) {
  laws::WorldRun run = exhaustive::run_of(*tool_->registry, transport_, *plan_, one);
  run.options.progress = &slot.hunt.pulse.beats;
  const exhaustive::Judgement judgement =
      exhaustive::judge(*plan_, one, laws::run_in_world(run, stacks));
  CaseTally& tally = slot.tallies[one.kind];
  ++tally.cases;
  tally.bit += judgement.bit ? 1 : 0;
  tally.passed += judgement.passed() ? 1 : 0;
  if (judgement.outcome < plan_->outcomes.size()) ++tally.outcomes[judgement.outcome];
  if (!judgement.passed())
    slot.hunt.note(std::to_string(one.kind) + " " + judgement.key, judgement.detail, offset);
}

void ExhaustCrew::attend(Duration timeout) {
  wait_for_any(workers_, timeout);
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (!workers_[i]) continue;
    const auto death = workers_[i]->poll();
    if (!death) continue;
    workers_[i].reset();
    if (death->kind == Death::Kind::ended && death->exit_code == 0) continue;
    note_death(slots_[i], *death);
    start(i);
  }
}

// The worker is gone: its slot is this process's to write.
void ExhaustCrew::note_death(Slot& slot, const Death& death) {
  const std::uint64_t offset = slot.hunt.offset.load();
  const exhaustive::Case& one = plan_->cases[chosen_[offset]];
  std::string detail = death.sentence();
  if (!death.said.empty()) detail += "; it said:\n" + death.said;
  const std::string key = death.kind == Death::Kind::ended ? "crash:exit" : death.failure_key();
  slot.hunt.note(std::to_string(one.kind) + " " + key, detail, offset);
  ++slot.tallies[one.kind].cases;
  slot.hunt.done.fetch_add(1);
  slot.hunt.offset.store(offset + 1);
}

bool ExhaustCrew::working() const noexcept {
  return std::any_of(workers_.begin(), workers_.end(),
                     [](const auto& worker) { return worker != nullptr; });
}

std::uint64_t ExhaustCrew::done() const noexcept {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < jobs_; ++i) sum += slots_[i].hunt.done.load();
  return sum;
}

std::vector<CaseTally> ExhaustCrew::tallies() const {
  std::vector<CaseTally> sum(plan_->kinds.size());
  for (std::size_t i = 0; i < jobs_; ++i)
    for (std::size_t kind = 0; kind < sum.size(); ++kind) {
      sum[kind].cases += slots_[i].tallies[kind].cases;
      sum[kind].bit += slots_[i].tallies[kind].bit;
      sum[kind].passed += slots_[i].tallies[kind].passed;
      for (std::size_t n = 0; n < exhaustive::outcomes_max; ++n)
        sum[kind].outcomes[n] += slots_[i].tallies[kind].outcomes[n];
    }
  return sum;
}

std::vector<CaseFailure> ExhaustCrew::failures() const {
  std::map<std::string, CaseFailure> merged;
  for (std::size_t i = 0; i < jobs_; ++i) {
    const HuntSlot& slot = slots_[i].hunt;
    for (std::uint32_t n = 0; n < slot.note_count.load(); ++n) {
      const FailureNote& note = slot.notes[n];
      const std::size_t first = chosen_[note.first_offset];
      const std::string text = note.key.data();
      CaseFailure& failure = merged[text];
      if (failure.count == 0 || first < failure.first) {
        failure.kind = plan_->kinds[plan_->cases[first].kind].name;
        failure.key = text.substr(text.find(' ') + 1);
        failure.detail = note.detail.data();
        failure.first = first;
      }
      failure.count += note.count.load();
    }
  }
  std::vector<CaseFailure> failures;
  failures.reserve(merged.size());
  for (auto& [text, failure] : merged) failures.push_back(std::move(failure));
  std::sort(failures.begin(), failures.end(),
            [](const CaseFailure& a, const CaseFailure& b) { return a.first < b.first; });
  return failures;
}

bool ExhaustCrew::too_many_failures() const noexcept {
  for (std::size_t i = 0; i < jobs_; ++i)
    if (slots_[i].hunt.note_count.load() == HuntSlot::notes_max) return true;
  return false;
}

}  // namespace twinwire::cli
