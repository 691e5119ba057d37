// SPDX-License-Identifier: Apache-2.0
#include "cli/hunt_crew.h"

#include <algorithm>

namespace twinwire::cli {
namespace {

void merge(std::map<std::string, HuntFailure>& into, const HuntFailure& failure) {
  const auto [at, fresh] = into.try_emplace(failure.key, failure);
  if (fresh) return;
  HuntFailure& known = at->second;
  known.count += failure.count;
  if (failure.offset >= known.offset) return;
  known.offset = failure.offset;
  known.seed = failure.seed;
  known.detail = failure.detail;
  known.taken_out = failure.taken_out;
}

}  // namespace

HuntCrew::HuntCrew(const Tool& tool, const HuntPlan& plan, unsigned jobs, Duration hang_after,
                   bool keep_hashes)
    : tool_(&tool), plan_(plan), hang_after_(hang_after), slots_(jobs), jobs_(jobs) {
  board_->limit.store(plan.count);
  if (keep_hashes) hashes_ = std::make_unique<Shared<std::uint64_t>>(plan.count);
  workers_.resize(jobs);
  for (std::size_t i = 0; i < jobs; ++i) start(i);
}

void HuntCrew::start(std::size_t worker) {
  HuntSlot& slot = slots_[worker];
  workers_[worker] = std::make_unique<Child>(
      Child::Options{.pulse = &slot.pulse, .hang_after = hang_after_, .capture_stderr = true},
      [this, &slot] {
        return run_hunt_worker(*tool_, plan_, *board_, slot, hashes_ ? &(*hashes_)[0] : nullptr);
      });
}

void HuntCrew::attend(Duration timeout) {
  wait_for_any(workers_, timeout);
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (!workers_[i]) continue;
    const auto death = workers_[i]->poll();
    if (!death) continue;
    workers_[i].reset();
    if (death->kind == Death::Kind::ended && death->exit_code == 0) continue;
    note_death(i, *death);
    start(i);
  }
}

void HuntCrew::note_death(std::size_t worker, const Death& death) {
  HuntSlot& slot = slots_[worker];
  const std::uint64_t offset = slot.offset.load();
  std::string detail = death.sentence();
  if (!death.said.empty()) detail += "; it said:\n" + death.said;
  merge(deaths_, {death.kind == Death::Kind::ended ? "crash:exit" : death.failure_key(), detail,
                  plan_.seed(offset), offset, 1,
                  slot.again.exchange(false) ? std::optional(slot.taken_out) : std::nullopt});
  slot.offset.store(offset + 1);
  ++died_;
}

bool HuntCrew::working() const noexcept {
  return std::any_of(workers_.begin(), workers_.end(),
                     [](const auto& worker) { return worker != nullptr; });
}

std::uint64_t HuntCrew::done() const noexcept {
  std::uint64_t sum = died_;
  for (std::size_t i = 0; i < jobs_; ++i) sum += slots_[i].done.load(std::memory_order_relaxed);
  return sum;
}

std::vector<SeedRange> HuntCrew::ran() const {
  // All that was claimed, without what each worker left of its last chunk.
  std::vector<SeedRange> left;
  for (std::size_t i = 0; i < jobs_; ++i) {
    const std::uint64_t at = slots_[i].offset.load();
    const std::uint64_t end = slots_[i].chunk_end.load();
    if (at < end) left.push_back({at, end - at});
  }
  std::sort(left.begin(), left.end(),
            [](const SeedRange& a, const SeedRange& b) { return a.first < b.first; });
  const std::uint64_t claimed = std::min(board_->next.load(), plan_.count);
  left.push_back({claimed, 0});
  std::vector<SeedRange> ran;
  std::uint64_t from = 0;
  for (const SeedRange& hole : left) {
    if (hole.first > from) ran.push_back({plan_.seed(from), hole.first - from});
    from = hole.end();
  }
  return ran;
}

std::vector<HuntFailure> HuntCrew::failures() const {
  std::map<std::string, HuntFailure> merged = deaths_;
  for (std::size_t i = 0; i < jobs_; ++i) {
    const HuntSlot& slot = slots_[i];
    for (std::uint32_t n = 0; n < slot.note_count.load(); ++n) {
      const FailureNote& note = slot.notes[n];
      merge(merged,
            {note.key.data(), note.detail.data(), plan_.seed(note.first_offset), note.first_offset,
             note.count.load(), note.again ? std::optional(note.taken_out) : std::nullopt});
    }
  }
  std::vector<HuntFailure> failures;
  failures.reserve(merged.size());
  for (auto& [key, failure] : merged) failures.push_back(std::move(failure));
  std::sort(failures.begin(), failures.end(),
            [](const HuntFailure& a, const HuntFailure& b) { return a.offset < b.offset; });
  return failures;
}

FaultTallies HuntCrew::faults() const noexcept {
  FaultTallies sum{};
  for (std::size_t i = 0; i < jobs_; ++i) laws::add(sum, slots_[i].faults);
  return sum;
}

laws::SometimesTallies HuntCrew::states() const noexcept {
  laws::SometimesTallies sum{};
  for (std::size_t i = 0; i < jobs_; ++i) laws::add(sum, slots_[i].states);
  return sum;
}

std::uint64_t HuntCrew::hash_sum() const noexcept {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < jobs_; ++i) sum += slots_[i].hash_sum.load();
  return sum;
}

std::uint64_t HuntCrew::knobs_read() const noexcept {
  std::uint64_t read = 0;
  for (std::size_t i = 0; i < jobs_; ++i) read |= slots_[i].knobs_read.load();
  return read;
}

}  // namespace twinwire::cli
