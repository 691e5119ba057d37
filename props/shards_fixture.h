// SPDX-License-Identifier: Apache-2.0
// What the tests of Shards share: a run of some, after which no descriptor, message or post is left over.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "props/ring_fixture.h"
#include "real/shards.h"

namespace twinwire::real {

class ShardsRun : public ::testing::Test {
 protected:
  ShardsRun() { ::alarm(120); }
  ~ShardsRun() override { ::alarm(0); }

  // Runs body(shard) on each, until all have returned; the sum of what they counted. Rethrows as join() does.
  ShardCounters run(const ShardsOptions& options, const std::function<void(Shard&)>& body) {
    const std::size_t descriptors = open_descriptors();
    ShardCounters sum;
    std::exception_ptr failure;
    {
      auto shards = Shards::start(options, body);
      if (!shards) {
        ADD_FAILURE() << explain_no_ring(shards.error());
        return sum;
      }
      try {
        (*shards)->join();
      } catch (...) {
        failure = std::current_exception();
      }
      for (std::uint32_t i = 0; i < options.count; ++i) add(sum, (*shards)->counters(i));
    }
    EXPECT_EQ(sum.posted, sum.delivered + sum.dropped) << "a post was lost";
    EXPECT_EQ(sum.lent, sum.returned) << "a message did not come home";
    EXPECT_EQ(open_descriptors(), descriptors) << "descriptors leaked";
    if (failure) std::rethrow_exception(failure);
    return sum;
  }

  // Waits, on shard `shard`, until `condition` holds.
  template <class Condition>
  static void until(Shard& shard, Condition&& condition) {
    const Deadline soon = shard.ring().clock().in(seconds(20));
    while (!condition()) {
      ASSERT_LT(shard.ring().now(), soon.at) << "it does not come";
      if (!shard.scheduler().sleep_for(milliseconds(1))) return;
    }
  }
  // Until everything is told to stop.
  static void until_stopped(Shard& shard) {
    while (shard.scheduler().sleep_for(seconds(1))) {}
  }
  static Deadline soon(Shard& shard) { return shard.ring().clock().in(seconds(20)); }

 private:
  static void add(ShardCounters& sum, const ShardCounters& one) {
    sum.posted += one.posted;
    sum.refused += one.refused;
    sum.delivered += one.delivered;
    sum.dropped += one.dropped;
    sum.lent += one.lent;
    sum.returned += one.returned;
    sum.wakes_sent += one.wakes_sent;
    sum.wakes_taken += one.wakes_taken;
    sum.bells_rung += one.bells_rung;
  }
};

}  // namespace twinwire::real
