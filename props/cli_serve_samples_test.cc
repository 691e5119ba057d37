// SPDX-License-Identifier: Apache-2.0
// What a scrape of several shards gathers: from all, or an error within a bound where one does not answer.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "cli/serve_samples.h"
#include "real/probe.h"
#include "real/shards.h"

namespace twinwire::cli {
namespace {

TEST(ServeSamples, a_shard_that_does_not_answer_is_an_error_and_its_late_answer_is_nobodys) {
  std::vector<ServeState> states(2);
  states[0].totals.clean = 10;
  states[1].totals.clean = 11;
  std::atomic<bool> blocked = false;
  std::atomic<bool> release = false;
  auto shards = real::Shards::start({.count = 2}, [&](real::Shard& shard) {
    Event never(shard.scheduler());
    if (shard.index() == 1) {
      blocked = true;
      while (!release) std::this_thread::yield();  // as a fiber that does not suspend
      (void)never.wait(Deadline::never());
      return;
    }
    ServeSamples samples(shard, states);
    while (!blocked) std::this_thread::yield();
    const TimePoint before = shard.scheduler().now();
    EXPECT_EQ(samples.gather().error(), Errc::timed_out);
    EXPECT_GE(shard.scheduler().now() - before, ServeSamples::patience);
    release = true;
    const auto all = samples.gather();
    ASSERT_TRUE(all.has_value());
    ASSERT_EQ(all->size(), 2u);
    EXPECT_EQ((*all)[0].totals.clean, 10u);
    EXPECT_EQ((*all)[1].totals.clean, 11u);
    EXPECT_EQ((*all)[1].ring.shard, 1u);
    shard.stop();
  });
  ASSERT_TRUE(shards.has_value()) << real::explain_no_ring(shards.error());
  (*shards)->join();
  // Both questions arrived, and both answers.
  EXPECT_EQ((*shards)->counters(0).delivered, 2u);
  EXPECT_EQ((*shards)->counters(1).delivered, 2u);
}

}  // namespace
}  // namespace twinwire::cli
