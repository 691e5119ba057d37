// SPDX-License-Identifier: Apache-2.0
#include "cli/hunt_worker.h"

#include <algorithm>

#include "cli/text.h"
#include "transport/base/mix.h"

namespace twinwire::cli {
namespace {

// Only this process writes the slot: no read-modify-write is needed.
void add(std::atomic<std::uint64_t>& to, std::uint64_t value) noexcept {
  to.store(to.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
}

void count_faults(HuntSlot& slot, const sim::RunReport& report) noexcept {
  for (std::size_t i = 0; i < sim::site_count; ++i) {
    const sim::SiteCount& count = report.counts[i];
    FaultTally& tally = slot.faults[i];
    tally.count.drawn += count.drawn;
    tally.count.struck += count.struck;
    tally.count.bit += count.bit;
    tally.seeds_bit += count.bit != 0 ? 1 : 0;
  }
}

void note_knobs(HuntSlot& slot, const RunSpec& spec, const laws::Verdict& verdict) {
  for (std::size_t i = 0; i < std::min<std::size_t>(64, spec.knobs.size()); ++i) {
    const bool unread = std::find(verdict.knobs_unread.begin(), verdict.knobs_unread.end(),
                                  spec.knobs[i].name) != verdict.knobs_unread.end();
    if (!unread) slot.knobs_read.fetch_or(std::uint64_t{1} << i);
  }
}

}  // namespace

int run_hunt_worker(const Tool& tool, const HuntPlan& plan, HuntBoard& board, HuntSlot& slot,
                    std::uint64_t* hashes) {
  const Running running(slot.pulse);
  StackPool stacks;
  laws::WorldRun run = plan.spec.world_run(tool, plan.first_seed);
  run.options.progress = &slot.pulse.steps;
  for (;; add(slot.offset, 1)) {
    if (slot.offset.load() >= slot.chunk_end.load()) {
      const std::uint64_t claimed = board.next.fetch_add(plan.chunk);
      if (claimed >= plan.count) return 0;
      slot.offset.store(claimed);
      slot.chunk_end.store(std::min(plan.count, claimed + plan.chunk));
    }
    const std::uint64_t offset = slot.offset.load();
    // Chunks are claimed in rising order, so no later one lies below the limit either.
    if (offset >= board.limit.load(std::memory_order_relaxed)) return 0;

    run.options.seed = plan.seed(offset);
    run.options.faults = plan.spec.plan(run.options.seed);
    const laws::Verdict verdict = laws::run_in_world(run, stacks);
    count_faults(slot, verdict.report);
    if (!plan.spec.knobs.empty()) note_knobs(slot, plan.spec, verdict);
    if (verdict.kind != laws::VerdictKind::pass)
      slot.note(verdict.failure_key(), verdict.detail, offset);
    // Counted through all shards, so that together they run the same seeds twice as the whole hunt does.
    if (plan.verify_every != 0 && (plan.before + offset) % plan.verify_every == 0) {
      const laws::Verdict again = laws::run_in_world(run, stacks);
      if (again.report.hash != verdict.report.hash)
        slot.note(
            "nondeterminism:hash",
            "the hash was " + hex16(verdict.report.hash) + " and then " + hex16(again.report.hash),
            offset);
    }
    if (hashes != nullptr) hashes[offset] = verdict.report.hash;
    add(slot.hash_sum, mix(run.options.seed, verdict.report.hash));
    add(slot.done, 1);
  }
}

}  // namespace twinwire::cli
