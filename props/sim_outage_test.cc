// SPDX-License-Identifier: Apache-2.0
// Faults of lines, nodes and resources: what each does to sockets, and that it is counted where it bit.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <cerrno>

#include "props/sim_rig.h"

namespace twinwire::sim {
namespace {

WorldOptions outage(std::string_view fault) {
  WorldOptions options;
  EXPECT_TRUE(options.faults.set(fault).has_value()) << fault;
  return options;
}

// --- Outages on a stream -------------------------------------------------------------------------------------------

TEST(sim_outage, bytes_that_meet_a_partition_arrive_by_a_later_retransmission) {
  // From the first byte on for 300 ms: sent again after 200 ms in vain, and after 600 ms.
  const RunReport report =
      run_rig(outage("partition@client<>server=1/1ms..301ms"), {}, {}, [](Rig& rig) {
        rig.sleep(2ms);
        const TimePoint sent = rig.now();
        EXPECT_TRUE(write_all(*rig.client, pattern(100)).has_value());
        Bytes got;
        EXPECT_TRUE(read_up_to(*rig.server, got, 100).has_value());
        EXPECT_EQ(rig.now() - sent, 600ms + latency);
        EXPECT_EQ(got, pattern(100));
      });
  expect_clean(report);
  EXPECT_GT(bit(report, Site::partition), 0u);
}

// Each once, when it first keeps something from arriving, and until when.
TEST(sim_outage, the_trace_tells_who_does_not_hear_whom) {
  const auto trace_of = [](std::string_view fault) {
    TraceText trace;
    WorldOptions options = outage(fault);
    options.trace = &trace;
    expect_clean(run_rig(options, {}, {}, [](Rig& rig) {
      for (int i = 0; i < 3; ++i) {
        rig.sleep(2ms);
        EXPECT_TRUE(write_all(*rig.client, pattern(100)).has_value());
      }
      rig.sleep(2s);
    }));
    const auto first = trace.text.find(" network ");
    EXPECT_EQ(trace.text.find(" network ", first + 1), std::string::npos) << trace.text;
    return first == std::string::npos
               ? "nothing of it in " + trace.text
               : trace.text.substr(first + 9, trace.text.find('\n', first) - first - 9);
  };
  // The client's first byte sets out at 2.15 ms: the rig begins at the accept, at 0.15 ms.
  EXPECT_EQ(trace_of("partition@client<>server=1/1ms..301ms"),
            "partition: server and client for 298850000 ns");
  EXPECT_EQ(trace_of("partition_one_way@client>server=1/1ms..301ms"),
            "partition_one_way: client towards server for 298850000 ns");
  EXPECT_EQ(trace_of("isolation@server=1/1ms..301ms"), "isolation: server for 298850000 ns");
  // The instant at which it begins says who is on which side.
  EXPECT_EQ(trace_of("split=1/2ms..301ms"), "split: server, apart from client for 298850000 ns");
}

TEST(sim_outage, of_several_rules_for_a_place_the_last_counts) {
  WorldOptions options = outage("partition=1/0s..3s");
  ASSERT_TRUE(options.faults.set("partition@client<>server=0/0s..3s").has_value());
  const RunReport report =
      run_nodes(options, [](World& world, SimNetwork& server, SimNetwork& client, Scope&) {
        auto acceptor = *server.listen(server.address(port), {});
        EXPECT_TRUE(client.dial(server.address(port), {}, {}).has_value());
        EXPECT_EQ(world.now().ns, 100'000);
      });
  expect_clean(report);
  EXPECT_EQ(bit(report, Site::partition), 0u);
}

TEST(sim_outage, one_way_holds_up_one_direction_and_the_acknowledgements_of_the_other) {
  const RunReport report =
      run_rig(outage("partition_one_way@client>server=1/1ms..100ms"), {.send_buffer = 1000},
              {.stream = {.send_buffer = 1000}}, [](Rig& rig) {
                rig.sleep(2ms);
                const TimePoint begun = rig.now();
                rig.scope.spawn("up", [&] { (void)write_all(*rig.client, pattern(10)); });
                // The first thousand arrive at once; room for more is told 200 ms later.
                rig.scope.spawn("down", [&] {
                  EXPECT_TRUE(write_all(*rig.server, pattern(1500)).has_value());
                  EXPECT_GE(rig.now() - begun, 200ms);
                });
                Bytes got;
                EXPECT_TRUE(read_up_to(*rig.client, got, 1000).has_value());
                EXPECT_EQ(rig.now() - begun, latency);
                EXPECT_TRUE(read_up_to(*rig.client, got, 1500).has_value());
                Bytes up;
                EXPECT_TRUE(read_up_to(*rig.server, up, 10).has_value());
                EXPECT_GE(rig.now() - begun, 200ms);
              });
  expect_clean(report);
}

TEST(sim_outage, an_outage_that_does_not_end_times_the_connection_out) {
  const RunReport report = run_rig(outage("isolation@server=1/1ms.."), {}, {}, [](Rig& rig) {
    rig.sleep(2ms);
    EXPECT_TRUE(write_all(*rig.client, pattern(100)).has_value());
    Bytes got;
    EXPECT_EQ(read_up_to(*rig.client, got, 1).error(), (Error{Errc::broken, ETIMEDOUT}));
    EXPECT_EQ(rig.now().ns / 1'000'000'000, 924);
  });
  expect_clean(report);
}

TEST(sim_outage, a_connect_is_tried_again_as_linux_does) {
  const RunReport report =
      run_nodes(outage("partition@client<>server=1/..1500ms"),
                [](World& world, SimNetwork& server, SimNetwork& client, Scope&) {
                  auto acceptor = *server.listen(server.address(port), {});
                  EXPECT_TRUE(client.dial(server.address(port), {}, {}).has_value());
                  EXPECT_EQ(world.now().ns, 3'000'100'000) << "SYNs after 0, 1 and 3 s";
                });
  expect_clean(report);
}

TEST(sim_outage, a_drawn_outage_ends_when_it_was_drawn_to) {
  const RunReport report = run_rig(outage("partition=0.01:50000000"), {}, {}, [](Rig& rig) {
    for (int i = 0; i < 2000; ++i) {
      EXPECT_TRUE(write_all(*rig.client, pattern(10)).has_value());
      Bytes got;
      EXPECT_TRUE(read_up_to(*rig.server, got, 10).has_value());
    }
    // 50 ms at most each, so that the first retransmission always gets through.
    EXPECT_LT(rig.now().ns, 200 * 300'000'000LL);
  });
  expect_clean(report);
  const SiteCount& count = report.counts[static_cast<std::size_t>(Site::partition)];
  EXPECT_GT(count.struck, 5u);
  EXPECT_EQ(count.bit, count.struck);
}

// --- Lines and buffers ---------------------------------------------------------------------------------------------

TEST(sim_outage, bandwidth_makes_bytes_leave_one_after_another) {
  // A megabyte a second: 1 KiB takes a millisecond.
  const RunReport report = run_rig(
      with_edits({{Site::bandwidth, client_to_server, 0, 1'000'000}}), {}, {}, [](Rig& rig) {
        const TimePoint begun = rig.now();
        for (int i = 0; i < 4; ++i)
          EXPECT_TRUE(write_all(*rig.client, pattern(1024, 1024 * i)).has_value());
        Bytes got;
        for (int i = 1; i <= 4; ++i) {
          EXPECT_TRUE(read_up_to(*rig.server, got, 1024 * i).has_value());
          EXPECT_EQ(rig.now() - begun, i * 1ms + latency);
        }
        EXPECT_EQ(got, pattern(4096));
        const TimePoint back = rig.now();
        EXPECT_TRUE(write_all(*rig.server, pattern(4096)).has_value());
        Bytes down;
        EXPECT_TRUE(read_up_to(*rig.client, down, 4096).has_value());
        EXPECT_EQ(rig.now() - back, latency) << "the other direction is as fast as ever";
      });
  expect_clean(report);
  EXPECT_EQ(bit(report, Site::bandwidth), 1u);
}

TEST(sim_outage, small_buffers_are_small) {
  const RunReport report =
      run_rig(with_edits({{Site::small_buffer, client_to_server, 0, 392},
                          {Site::small_buffer, client_to_server, 1, 696}}),
              {}, {}, [](Rig& rig) {
                // 5,000 bytes to send from, 3,000 to receive into, and nobody reads.
                std::size_t taken = 0;
                while (auto n = write_some(*rig.client, pattern(100'000), 0, rig.in(1s)))
                  taken += *n;
                EXPECT_EQ(taken, 8000u);
                Bytes got;
                EXPECT_TRUE(read_up_to(*rig.server, got, 8000).has_value());
              });
  expect_clean(report);
  EXPECT_EQ(bit(report, Site::small_buffer), 2u);
}

TEST(sim_outage, a_flipped_bit_changes_one_bit_of_one_byte) {
  for (const std::uint64_t at : {0u, 7u, 8u * 99, 8u * 150 + 3, 8u * 299 + 7}) {
    const RunReport report =
        run_rig(with_edits({{Site::bit_flip, client_to_server, 0, at + 1}}), {}, {}, [&](Rig& rig) {
          const Bytes sent = pattern(300);
          EXPECT_TRUE(write_all(*rig.client, Bytes(sent.begin(), sent.begin() + 100)).has_value());
          Bytes got;
          EXPECT_TRUE(read_up_to(*rig.server, got, 100).has_value());
          EXPECT_TRUE(write_all(*rig.client, Bytes(sent.begin() + 100, sent.end())).has_value());
          EXPECT_TRUE(read_up_to(*rig.server, got, 300).has_value());
          Bytes wanted = sent;
          wanted[at / 8] ^= std::byte{1} << (at % 8);
          EXPECT_EQ(got, wanted) << at;
          EXPECT_EQ(sent, pattern(300)) << "the sender's bytes are its own";
        });
    expect_clean(report);
    EXPECT_EQ(bit(report, Site::bit_flip), 1u);
  }
}

// --- Nodes and resources -------------------------------------------------------------------------------------------

constexpr EntityId server_entity = child_entity(World::root_entity, 0);

TEST(sim_outage, a_calendar_that_is_wrong_and_a_clock_that_is_not) {
  const RunReport report =
      run_nodes(with_edits({{Site::clock_skew, server_entity, 0, 2'000'000'000},
                            {Site::clock_drift, server_entity, 0, 101}}),
                [](World& world, SimNetwork& server, SimNetwork& client, Scope&) {
                  constexpr std::int64_t epoch = SimNetwork::unix_epoch_ns;
                  EXPECT_EQ(server.clock().unix_now_ns() - epoch, 2'000'000'000);
                  EXPECT_EQ(client.clock().unix_now_ns() - epoch, 0);
                  (void)world.scheduler().sleep_for(1000s);
                  EXPECT_EQ(server.clock().unix_now_ns() - epoch, 1'002'000'000'000 - 101'000'000)
                      << "101 is odd: it loses 101 ppm";
                  EXPECT_EQ(server.clock().now(), client.clock().now());
                });
  EXPECT_EQ(bit(report, Site::clock_skew), 1u);
  EXPECT_EQ(bit(report, Site::clock_drift), 1u);
}

TEST(sim_outage, descriptors_run_out_at_dial_and_bind) {
  const RunReport report =
      run_nodes(outage("no_descriptors@client=1"),
                [](World&, SimNetwork& server, SimNetwork& client, Scope&) {
                  auto acceptor = *server.listen(server.address(port), {});
                  EXPECT_EQ(client.dial(server.address(port), {}, {}).error(),
                            (Error{Errc::no_resources, EMFILE}));
                  EXPECT_EQ(client.bind({}, {}).error(), (Error{Errc::no_resources, EMFILE}));
                  EXPECT_TRUE(server.bind({}, {}).has_value());
                });
  expect_clean(report);
  EXPECT_EQ(bit(report, Site::no_descriptors), 2u);
}

TEST(sim_outage, memory_runs_out_for_one_allocation) {
  const RunReport report =
      run_rig(with_edits({{Site::no_memory, World::root_entity, 1, 1}}), {}, {}, [](Rig& rig) {
        EXPECT_TRUE(write_some(*rig.client, pattern(100)).has_value());
        rig.sleep(1ms);
        EXPECT_EQ(write_some(*rig.client, pattern(100)).error(),
                  (Error{Errc::no_resources, ENOBUFS}));
        EXPECT_TRUE(write_some(*rig.client, pattern(100)).has_value());
        Bytes got;
        EXPECT_TRUE(read_up_to(*rig.server, got, 200).has_value());
      });
  expect_clean(report);
  EXPECT_EQ(bit(report, Site::no_memory), 1u);
}

}  // namespace
}  // namespace twinwire::sim
