// SPDX-License-Identifier: Apache-2.0
// Whoever reads a trace, or the story that is made of it, learns of every fault that bit.
// ctest: no_tsan
#include <gtest/gtest.h>

#include "props/laws/fault_account.h"
#include "props/laws/run_in_world.h"
#include "props/seed_count.h"

namespace twinwire::laws {
namespace {

using sim::Site;

class Heard final : public sim::TraceSink {
 public:
  void on_step(const sim::TraceStep& step) override {
    if (step.what != "runs") text.append(step.what) += '\n';
  }
  std::string text;
};

// What a trace says of each.
std::string_view words_for(Site site) {
  switch (site) {
    case Site::wake_order: return "runs after one that was woken later\n";
    case Site::accept_failure: return "accept fails: ";
    case Site::segment_delay:
    case Site::datagram_delay: return "delayed by ";
    case Site::clog: return "clogged for ";
    case Site::short_write: return "short write: ";
    case Site::short_read: return "short read: ";
    case Site::reset: return "reset at offset ";
    case Site::reset_overtakes: return "reset overtakes ";
    case Site::datagram_duplicate: return "delivered again";
    case Site::bit_flip: return " arrives flipped\n";
    case Site::no_memory: return "none is left for ";
    case Site::unsynced_kept: return " records that were not synced\n";
    case Site::short_datagram_queue: return " bytes dropped: receive buffer full\n";
    case Site::cancel: return "is told to stop";
    default: return sim::name(site);
  }
}

using Bits = std::array<bool, sim::site_count>;

void hear(Bits& bit, std::string_view scenario, std::size_t transport, std::uint64_t seeds) {
  const Registry registry = built_in_scenarios();
  StackPool stacks;
  WorldRun run;
  run.scenario = registry.find(scenario);
  run.transport = transport;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    Heard heard;
    run.options.seed = seed;
    run.options.faults = sim::FaultPlan::swarm(seed);
    run.options.trace = &heard;
    const Verdict verdict = run_in_world(run, stacks);
    for (std::size_t i = 0; i < sim::site_count; ++i) {
      if (verdict.report.counts[i].bit == 0) continue;
      bit[i] = true;
      EXPECT_NE(heard.text.find(words_for(static_cast<Site>(i))), std::string::npos)
          << sim::name(static_cast<Site>(i)) << " bit, and nothing is told of it: " << scenario
          << " over " << transport_names()[transport] << ", seed " << seed;
    }
  }
}

TEST(SimTrace, tells_of_every_fault_that_bit) {
  Bits bit{};
  for (std::size_t transport = 0; transport < transport_count; ++transport)
    for (const auto& [scenario, seeds] : {std::pair<std::string_view, int>{"traffic", 150},
                                          {"restarts", 40},
                                          {"crowd", 10},
                                          {"bus_shards", 30},
                                          {"ring", 60}})
      if (built_in_scenarios().find(scenario)->bodies[transport] != nullptr)
        hear(bit, scenario, transport, props::seed_count(seeds, 10));
  if (props::seed_count(150, 10) < 150) return;  // too few for each fault to bite
  for (std::size_t i = 0; i < sim::site_count; ++i)
    EXPECT_TRUE(bit[i] || static_cast<Site>(i) == Site::cancel)  // in no swarm
        << sim::name(static_cast<Site>(i)) << " never bit";
}

}  // namespace
}  // namespace twinwire::laws
