// SPDX-License-Identifier: Apache-2.0
#include "cli/hunt_worker.h"

#include <algorithm>

#include "cli/text.h"
#include "props/laws/resample.h"
#include "transport/base/mix.h"

namespace twinwire::cli {
namespace {

// Only this process writes the slot: no read-modify-write is needed.
void add(std::atomic<std::uint64_t>& to, std::uint64_t value) noexcept {
  to.store(to.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
}

// Once more, without one of its decisions. A failure of that run is one, too: such a run is as good as any other.
void resample(HuntSlot& slot, const laws::WorldRun& run, const laws::Verdict& whole,
              StackPool& stacks, std::uint64_t offset) {
  const auto taken_out = laws::decision_to_take_out(run.options.seed, whole.decisions);
  if (!taken_out) return;
  slot.taken_out = *taken_out;
  slot.again.store(true);
  const laws::Verdict without = laws::run_without(run, *taken_out, stacks);
  slot.again.store(false);
  FaultTally& tally = slot.faults[static_cast<std::size_t>(taken_out->site)];
  ++tally.reruns;
  if (without.outcome != whole.outcome) ++tally.changed;
  if (without.kind != laws::VerdictKind::pass && whole.kind == laws::VerdictKind::pass)
    slot.note(without.failure_key(),
              "run once more, without a decision on " + std::string(sim::name(taken_out->site)) +
                  ":\n" + without.detail,
              offset, &*taken_out);
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
  run.options.progress = &slot.pulse.beats;
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
    // Counted through all shards, so that together they run the same seeds twice as the whole hunt does.
    const std::uint64_t nth = plan.before + offset;
    const bool resampled = plan.resample_every != 0 && nth % plan.resample_every == 0;
    run.options.record = run.outcome = resampled;
    const laws::Verdict verdict = laws::run_in_world(run, stacks);
    laws::count_faults(slot.faults, verdict.report);
    laws::count_states(slot.states, verdict.report.reached);
    if (!plan.spec.knobs.empty()) note_knobs(slot, plan.spec, verdict);
    if (verdict.kind != laws::VerdictKind::pass)
      slot.note(verdict.failure_key(), verdict.detail, offset);
    if (resampled) resample(slot, run, verdict, stacks, offset);
    if (plan.verify_every != 0 && nth % plan.verify_every == 0) {
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
