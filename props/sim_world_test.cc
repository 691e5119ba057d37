// SPDX-License-Identifier: Apache-2.0
// What a World reports: deadlocks, leaks, time, randomness, the trace.
// ctest: no_tsan
#include <gtest/gtest.h>

#include "props/sim_rig.h"

namespace twinwire::sim {
namespace {

TEST(sim_world, a_deadlock_is_reported_with_who_waits_for_what) {
  const RunReport report = run_rig(
      [](Rig& rig) { rig.scope.spawn("poor reader", [&] { (void)rig.server->read({}); }); });
  EXPECT_EQ(report.ending, Ending::stuck);
  bool found = false;
  for (const StuckFiber& fiber : report.stuck)
    found |= fiber.name == "poor reader" && fiber.waiting_for == "bytes to read";
  EXPECT_TRUE(found);
  EXPECT_EQ(report.leaked_sockets, 0u);
}

// What `hunt --hang-after` watches: a fiber may make steps without end and never give up the processor.
TEST(sim_world, steps_within_one_run_of_a_fiber_are_no_progress_for_the_watchdog) {
  volatile std::uint64_t progress = 0;
  WorldOptions options;
  options.progress = &progress;
  (void)run_rig(options, {}, {}, [&](Rig& rig) {
    const std::uint64_t before = progress;
    EXPECT_GT(before, 0u);
    const auto steps = [&] {
      for (int i = 0; i < 1000; ++i)
        rig.world.step(Step::note, 1, 2, "spinner", [] { return std::string("spins"); });
    };
    steps();
    EXPECT_EQ(progress, before);
    rig.sleep(1ms);
    EXPECT_GT(progress, before) << "time moved, and a fiber was resumed";
  });
}

TEST(sim_world, a_slice_that_is_kept_counts_as_a_leaked_buffer) {
  BufferPool pool;
  WorldOptions options;
  options.buffers = &pool;  // a world's own pool would be abandoned for the slice's sake
  Slice kept;
  const RunReport report = run_rig(options, {}, {}, [&](Rig& rig) {
    ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
    kept = *rig.server->read({});
  });
  EXPECT_EQ(report.leaked_buffers, 1u);
}

TEST(sim_world, a_stream_that_is_kept_counts_as_a_leaked_socket_and_may_be_destroyed_later) {
  std::unique_ptr<ByteStream> kept;
  std::unique_ptr<Acceptor> kept_too;
  const RunReport report = run_rig([&](Rig& rig) {
    ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
    kept = std::move(rig.server);
    kept_too = std::move(rig.acceptor);
    rig.sleep(1ms);
  });
  EXPECT_EQ(report.leaked_sockets, 2u);
  EXPECT_EQ(report.leaked_buffers, 0u) << "what waits in a socket is the socket's";
}

TEST(sim_world, worlds_may_share_a_buffer_pool_and_count_their_own_leaks) {
  BufferPool pool;
  WorldOptions options;
  options.buffers = &pool;
  {
    Slice kept;
    EXPECT_EQ(run_rig(options, {}, {},
                      [&](Rig& rig) {
                        ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
                        kept = *rig.server->read({});
                      })
                  .leaked_buffers,
              1u);
    EXPECT_EQ(run_rig(options, {}, {}, [](Rig&) {}).leaked_buffers, 0u);
  }
  EXPECT_EQ(pool.blocks_in_use(), 0u);
}

TEST(sim_world, the_calendar_starts_in_2025_and_follows_virtual_time) {
  expect_clean(run_nodes({}, [](World& world, SimNetwork& server, SimNetwork&, Scope&) {
    EXPECT_EQ(server.clock().unix_now_ns(), 1'735'689'600'000'000'000);
    (void)world.scheduler().sleep_for(5s);
    EXPECT_EQ(server.clock().now().ns, 5'000'000'000);
    EXPECT_EQ(server.clock().unix_now_ns(), 1'735'689'605'000'000'000);
  }));
}

TEST(sim_world, each_node_has_its_own_random_numbers_and_the_seed_decides_them) {
  std::vector<std::uint64_t> drawn;
  for (const std::uint64_t seed : {1u, 1u, 2u}) {
    WorldOptions options;
    options.seed = seed;
    expect_clean(run_nodes(options, [&](World&, SimNetwork& server, SimNetwork& client, Scope&) {
      drawn.push_back(server.random().next());
      drawn.push_back(client.random().next());
      Bytes bytes(11);
      server.random().fill(bytes);
      drawn.push_back(digest(bytes));
    }));
  }
  EXPECT_NE(drawn[0], drawn[1]);
  EXPECT_EQ(drawn[0], drawn[3]);
  EXPECT_EQ(drawn[1], drawn[4]);
  EXPECT_EQ(drawn[2], drawn[5]);
  EXPECT_NE(drawn[0], drawn[6]);
}

TEST(sim_world, the_trace_reads_as_a_story) {
  TraceText trace;
  WorldOptions options = with_edits({{Site::short_write, client_to_server, 0, 17}});
  options.trace = &trace;
  expect_clean(run_rig(options, {}, {}, [](Rig& rig) {
    ASSERT_TRUE(write_all(*rig.client, pattern(300)).has_value());
    ASSERT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value());
    (void)read_to_end(*rig.server);
  }));
  EXPECT_TRUE(trace.has("10.0.0.2:32768>10.0.0.1:4000 connects")) << trace.text;
  EXPECT_TRUE(trace.has("10.0.0.2:32768>10.0.0.1:4000 short write: 17 of 300 bytes at offset 0"))
      << trace.text;
  EXPECT_TRUE(trace.has("10.0.0.2:32768>10.0.0.1:4000 delivered 300 bytes at offset 0"))
      << trace.text;
  EXPECT_TRUE(trace.has("10.0.0.2:32768>10.0.0.1:4000 delivered the end at offset 300"))
      << trace.text;
}

TEST(sim_world, listening_to_the_trace_changes_nothing) {
  WorldOptions options;
  options.faults = FaultPlan::swarm(7);
  options.faults[Site::connect_refused].ppm = options.faults[Site::connect_black_hole].ppm = 0;
  options.faults[Site::accept_failure].ppm = 0;
  const auto both = [&](Rig& rig) {
    rig.scope.spawn("writer", [&] {
      (void)write_all(*rig.client, pattern(100'000));
      (void)rig.client->shutdown_write(Deadline::never());
    });
    (void)read_to_end(*rig.server);
    rig.scope.join();
  };
  const RunReport deaf = run_rig(options, {}, {}, both);
  TraceText trace;
  options.trace = &trace;
  const RunReport heard = run_rig(options, {}, {}, both);
  EXPECT_EQ(deaf.hash, heard.hash);
  EXPECT_EQ(deaf.steps, heard.steps);
  EXPECT_FALSE(trace.text.empty());
}

}  // namespace
}  // namespace twinwire::sim
