// SPDX-License-Identifier: Apache-2.0
// What `bench sim` takes for the work of the hash is the work of the hash: its counts are held to runs of known size.
// ctest: no_tsan
#include <gtest/gtest.h>

#include "cli/hash_cost.h"
#include "cli/run_spec.h"
#include "props/laws/registry.h"

namespace twinwire::props {
namespace {

cli::HashCost cost_of(const std::string& transport, bool swarm, std::vector<laws::Knob> knobs) {
  const laws::Registry registry = laws::built_in_scenarios();
  const cli::Tool tool{.registry = &registry, .plants = {}, .argc = 0, .argv = nullptr, .name = ""};
  cli::RunSpec spec;
  spec.scenario = "ping_pong";
  spec.transport = transport;
  spec.base = swarm ? cli::RunSpec::Base::swarm : cli::RunSpec::Base::none;
  spec.knobs = std::move(knobs);
  StackPool stacks;
  cli::HashCost cost;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) cost.sample(spec.world_run(tool, seed), stacks);
  return cost;
}

// Over TCP nothing but the messages is delivered, and each of them twice.
TEST(HashCost, knows_each_byte_of_tcp) {
  for (const std::int64_t messages : {1, 7, 50})
    for (const std::int64_t size : {256, 300, 5000})
      EXPECT_EQ(cost_of("tcp", false, {{"messages", messages}, {"size", size}}).bytes(),
                static_cast<std::uint64_t>(5 * 2 * messages * size))
          << messages << " of " << size;
}

TEST(HashCost, knows_that_other_transports_deliver_more) {
  for (const char* transport : {"tls", "ws", "wss", "quic"})
    EXPECT_GT(cost_of(transport, false, {{"messages", 50}}).bytes(), 5U * 2 * 50 * 256)
        << transport;
}

// A step is folded, and a choice other than 0 as well: the swarm makes more of those for each step.
TEST(HashCost, folds_choices_too) {
  const cli::HashCost none = cost_of("tcp", false, {});
  const cli::HashCost swarm = cost_of("tcp", true, {});
  EXPECT_GE(none.folds(), none.steps());
  EXPECT_GT(swarm.folds() * none.steps(), none.folds() * swarm.steps());
}

TEST(HashCost, more_bytes_cost_more) {
  cli::HashCost small = cost_of("tcp", false, {{"size", 256}});
  cli::HashCost large = cost_of("tcp", false, {{"size", 20'000}});
  double least_small = 1;
  double least_large = 1;
  for (int i = 0; i < 5; ++i) {  // the least of some: others use this machine, too
    least_small = std::min(least_small, small.seconds_per_step());
    least_large = std::min(least_large, large.seconds_per_step());
  }
  EXPECT_GT(least_small, 0);
  EXPECT_GT(least_large, 3 * least_small);
}

}  // namespace
}  // namespace twinwire::props
