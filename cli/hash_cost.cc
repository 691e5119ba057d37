// SPDX-License-Identifier: Apache-2.0
#include "cli/hash_cost.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <string_view>

#include "cli/child.h"
#include "sim/run_hash.h"
#include "sim/trace.h"

namespace twinwire::cli {
namespace {

// The sizes of what was delivered: the World digests bytes there and nowhere else.
struct Deliveries final : sim::TraceSink {
  std::vector<std::size_t>* sizes;

  // "delivered 256 bytes at offset 512", "delivered again a datagram of 1200 bytes"; the end of a stream has no bytes.
  void on_step(const sim::TraceStep& step) override {
    const std::size_t end = step.what.find(" bytes");
    if (!step.what.starts_with("delivered ") || end == std::string_view::npos) return;
    const std::size_t begin = step.what.rfind(' ', end - 1) + 1;
    std::size_t size = 0;
    (void)std::from_chars(step.what.data() + begin, step.what.data() + end, size);
    sizes->push_back(size);
  }
};

}  // namespace

void HashCost::sample(laws::WorldRun run, StackPool& stacks) {
  Deliveries deliveries;
  const std::size_t before = deliveries_.size();
  deliveries.sizes = &deliveries_;
  run.options.trace = &deliveries;
  const laws::Verdict verdict = laws::run_in_world(run, stacks);
  steps_ += verdict.report.steps;
  // A fold for each step, and one for each choice other than 0.
  folds_ += verdict.report.steps;
  for (const sim::SiteCount& count : verdict.report.counts) folds_ += count.struck;
  for (std::size_t i = before; i < deliveries_.size(); ++i) bytes_ += deliveries_[i];
}

double HashCost::seconds_per_step() {
  if (steps_ == 0) return 0;
  const std::size_t largest =
      deliveries_.empty() ? 0 : *std::max_element(deliveries_.begin(), deliveries_.end());
  const std::vector<std::byte> bytes(largest, std::byte{0x5a});
  constexpr Duration long_enough = std::chrono::milliseconds(10);
  const TimePoint start = processor_now();
  Duration took{};
  std::uint64_t rounds = 0;
  sim::RunHash hash;
  do {
    // Digests between the folds, as often as in the runs; the rest of the folds behind them.
    std::uint64_t left = folds_;
    const std::uint64_t stride = folds_ / (deliveries_.size() + 1);
    for (const std::size_t size : deliveries_) {
      for (std::uint64_t i = 1; i < stride; ++i) hash.fold(sim::Step::run, left + i, i);
      hash.fold(sim::Step::delivered, left, sim::digest(std::span(bytes).first(size)));
      left -= stride;
    }
    for (; left > 0; --left) hash.fold(sim::Step::run, left, rounds);
    ++rounds;
    took = processor_now() - start;
  } while (took < long_enough);
  hash_ = hash.value();
  return static_cast<double>(took.count()) / 1e9 / static_cast<double>(rounds * steps_);
}

}  // namespace twinwire::cli
