// SPDX-License-Identifier: Apache-2.0
// Simulated streams behave as Linux TCP does. One fact a test; times are virtual and exact.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <cerrno>

#include "props/sim_rig.h"

namespace twinwire::sim {
namespace {

// --- Bytes ---------------------------------------------------------------------------------------------------------

TEST(sim_stream, bytes_arrive_one_latency_after_they_were_written) {
  expect_clean(run_rig([](Rig& rig) {
    const TimePoint start = rig.now();
    ASSERT_TRUE(write_all(*rig.client, pattern(300)).has_value());
    EXPECT_EQ(rig.now(), start) << "a write with room does not suspend";
    auto slice = rig.server->read({});
    ASSERT_TRUE(slice.has_value());
    EXPECT_EQ(rig.now() - start, latency);
    EXPECT_EQ(Bytes(slice->bytes().begin(), slice->bytes().end()), pattern(300));
  }));
}

TEST(sim_stream, a_write_takes_pieces_in_order_and_skips_empty_ones) {
  expect_clean(run_rig([](Rig& rig) {
    Bytes bytes = pattern(100);
    const iovec pieces[] = {
        {bytes.data(), 0}, {bytes.data(), 10}, {bytes.data() + 10, 0}, {bytes.data() + 10, 90}};
    EXPECT_EQ(rig.client->write(pieces, {}).value(), 100u);
    Bytes got;
    ASSERT_TRUE(read_up_to(*rig.server, got, 100).has_value());
    EXPECT_EQ(got, bytes);
  }));
}

TEST(sim_stream, a_write_takes_no_more_than_the_send_buffer_has_room_for) {
  expect_clean(run_rig({}, {.send_buffer = 1000}, {}, [](Rig& rig) {
    EXPECT_EQ(write_some(*rig.client, pattern(3000)).value(), 1000u);
    const TimePoint start = rig.now();
    // Acknowledged after a round trip: until then a writer waits.
    EXPECT_EQ(write_some(*rig.client, pattern(3000)).value(), 1000u);
    EXPECT_EQ(rig.now() - start, 2 * latency);
  }));
}

TEST(sim_stream, a_waiting_writer_goes_on_when_a_third_of_the_send_buffer_is_free) {
  expect_clean(run_rig({}, {.send_buffer = 900}, {}, [](Rig& rig) {
    const TimePoint start = rig.now();
    EXPECT_EQ(write_some(*rig.client, pattern(200)).value(), 200u);
    rig.sleep(10us);
    EXPECT_EQ(write_some(*rig.client, pattern(700)).value(), 700u);
    rig.scope.spawn("reader", [&] { (void)read_to_end(*rig.server); });
    EXPECT_EQ(write_some(*rig.client, pattern(500)).value(), 500u);
    EXPECT_EQ(rig.now() - start, 10us + 2 * latency)
        << "the 200 bytes acknowledged first were too few";
    rig.client.reset();
  }));
}

TEST(sim_stream, a_waiting_writer_does_not_wait_for_the_whole_send_buffer) {
  expect_clean(run_rig({}, {.send_buffer = 900}, {}, [](Rig& rig) {
    const TimePoint start = rig.now();
    EXPECT_EQ(write_some(*rig.client, pattern(400)).value(), 400u);
    rig.sleep(10us);
    EXPECT_EQ(write_some(*rig.client, pattern(500)).value(), 500u);
    rig.scope.spawn("reader", [&] { (void)read_to_end(*rig.server); });
    EXPECT_EQ(write_some(*rig.client, pattern(500)).value(), 400u) << "what was acknowledged first";
    EXPECT_EQ(rig.now() - start, 2 * latency);
    rig.client.reset();
  }));
}

TEST(sim_stream, unread_bytes_and_those_in_flight_never_exceed_the_receive_buffer) {
  expect_clean(run_rig({}, {}, {.stream = {.receive_buffer = 1000}}, [](Rig& rig) {
    EXPECT_EQ(write_some(*rig.client, pattern(5000)).value(), 5000u)
        << "the send buffer holds the rest";
    rig.sleep(10s);
    Bytes got(6000);
    EXPECT_EQ(rig.server->read_into(got, {}).value(), 1000u);
    const TimePoint start = rig.now();
    // The room travels to the sender, and the bytes back.
    EXPECT_EQ(rig.server->read_into(got, {}).value(), 1000u);
    EXPECT_EQ(rig.now() - start, 2 * latency);
    rig.client->abort();
  }));
}

TEST(sim_stream, a_writer_blocked_by_a_reader_that_reads_nothing_waits_until_its_deadline) {
  expect_clean(
      run_rig({}, {.send_buffer = 1000}, {.stream = {.receive_buffer = 1000}}, [](Rig& rig) {
        ASSERT_TRUE(write_all(*rig.client, pattern(2000)).has_value());
        const TimePoint start = rig.now();
        const auto written = write_some(*rig.client, pattern(1), 0, rig.in(3s));
        ASSERT_FALSE(written.has_value());
        EXPECT_EQ(written.error().code, Errc::timed_out);
        EXPECT_EQ(rig.now() - start, 3s);
        Bytes got;
        ASSERT_TRUE(read_up_to(*rig.server, got, 2000).has_value());
        EXPECT_EQ(got, pattern(2000)) << "the write that timed out left no byte";
      }));
}

TEST(sim_stream, a_blocked_writer_obeys_cancellation) {
  expect_clean(run_rig({}, {.send_buffer = 10}, {.stream = {.receive_buffer = 10}}, [](Rig& rig) {
    const FiberHandle writer = rig.scope.spawn("writer", [&] {
      EXPECT_EQ(write_all(*rig.client, pattern(100)).error().code, Errc::canceled);
      EXPECT_EQ(write_some(*rig.client, pattern(1)).error().code, Errc::canceled)
          << "and so does the next";
    });
    rig.sleep(1s);
    rig.world.scheduler().cancel(writer);
    rig.scope.join();
  }));
}

TEST(sim_stream, bytes_come_whole_and_in_order_through_buffers_of_any_size) {
  for (const std::size_t buffer : {1u, 2u, 7u, 1459u, 1460u, 4096u, 70'000u}) {
    const Bytes sent = pattern(buffer < 10 ? 2000 : 300'000);
    expect_clean(
        run_rig({}, {.send_buffer = buffer}, {.stream = {.receive_buffer = buffer}}, [&](Rig& rig) {
          rig.scope.spawn("writer", [&] {
            EXPECT_TRUE(write_all(*rig.client, sent).has_value());
            EXPECT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value());
          });
          EXPECT_EQ(read_to_end(*rig.server), sent) << "buffer " << buffer;
          rig.scope.join();
        }));
  }
}

TEST(sim_stream, a_receive_buffer_unlike_the_send_buffer_loses_nothing) {
  const Bytes sent = pattern(100'000);
  for (const auto& [send, receive] :
       {std::pair{3u, 5000u}, {5000u, 3u}, {100u, 3001u}, {200'000u, 1461u}}) {
    expect_clean(
        run_rig({}, {.send_buffer = send}, {.stream = {.receive_buffer = receive}}, [&](Rig& rig) {
          rig.scope.spawn("writer", [&] {
            EXPECT_TRUE(write_all(*rig.client, sent).has_value());
            EXPECT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value());
          });
          EXPECT_EQ(read_to_end(*rig.server), sent);
          rig.scope.join();
        }));
  }
}

TEST(sim_stream, what_is_written_at_one_instant_travels_as_one_segment) {
  expect_clean(run_rig([](Rig& rig) {
    for (std::size_t i = 0; i < 100; ++i)
      ASSERT_TRUE(write_all(*rig.client, pattern(1, i)).has_value());
    auto slice = rig.server->read({});
    ASSERT_TRUE(slice.has_value());
    EXPECT_EQ(slice->size(), 100u);
    EXPECT_EQ(rig.world.buffers().blocks_in_use(), 1u);
  }));
}

TEST(sim_stream, several_segments_that_wait_are_read_one_by_one_or_merged) {
  expect_clean(run_rig([](Rig& rig) {
    for (std::size_t i = 0; i < 6; ++i) {
      ASSERT_TRUE(write_all(*rig.client, pattern(100, 100 * i)).has_value());
      rig.sleep(1us);
    }
    rig.sleep(1ms);
    Bytes got;
    std::vector<std::size_t> sizes;
    while (got.size() < 600) {
      auto slice = rig.server->read({});
      ASSERT_TRUE(slice.has_value());
      sizes.push_back(slice->size());
      got.insert(got.end(), slice->bytes().begin(), slice->bytes().end());
    }
    EXPECT_EQ(got, pattern(600));
    EXPECT_EQ(sizes, (std::vector<std::size_t>{600}))
        << "the first chance is taken, the second is not";
  }));
}

TEST(sim_stream, a_slice_stays_whole_while_the_stream_goes_on) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(write_all(*rig.client, pattern(100)).has_value());
    auto first = rig.server->read({});
    ASSERT_TRUE(first.has_value());
    for (std::size_t i = 0; i < 10; ++i) {
      ASSERT_TRUE(write_all(*rig.client, pattern(100, 5000)).has_value());
      Bytes more;
      ASSERT_TRUE(read_up_to(*rig.server, more, 100).has_value());
    }
    rig.server.reset();
    EXPECT_EQ(Bytes(first->bytes().begin(), first->bytes().end()), pattern(100));
  }));
}

TEST(sim_stream, read_into_copies_across_segments) {
  expect_clean(run_rig([](Rig& rig) {
    for (std::size_t i = 0; i < 3; ++i) {
      ASSERT_TRUE(write_all(*rig.client, pattern(100, 100 * i)).has_value());
      rig.sleep(1us);
    }
    rig.sleep(1ms);
    Bytes got(250);
    EXPECT_EQ(rig.server->read_into(got, {}).value(), 250u);
    EXPECT_EQ(got, pattern(250));
    EXPECT_EQ(rig.server->read_into(got, {}).value(), 50u);
    got.resize(50);
    EXPECT_EQ(got, pattern(50, 250));
  }));
}

TEST(sim_stream, a_read_that_times_out_consumes_nothing) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
    const auto early = rig.server->read(rig.in(latency - 1ns));
    ASSERT_FALSE(early.has_value());
    EXPECT_EQ(early.error().code, Errc::timed_out);
    EXPECT_EQ(rig.server->read(rig.in(1ns)).value().size(), 10u);
  }));
}

TEST(sim_stream, bytes_that_arrive_at_the_deadline_are_read) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
    EXPECT_TRUE(rig.server->read(rig.in(latency)).has_value());
  }));
}

TEST(sim_stream, a_canceled_read_leaves_the_bytes_for_the_next_reader) {
  expect_clean(run_rig([](Rig& rig) {
    const FiberHandle reader = rig.scope.spawn(
        "reader", [&] { EXPECT_EQ(rig.server->read({}).error().code, Errc::canceled); });
    ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
    rig.sleep(latency - 1ns);
    rig.world.scheduler().cancel(reader);
    rig.sleep(1us);
    Bytes got;
    ASSERT_TRUE(read_up_to(*rig.server, got, 10).has_value());
    EXPECT_EQ(got, pattern(10));
  }));
}

TEST(sim_stream, a_canceled_fiber_reads_nothing_though_bytes_wait) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
    rig.sleep(1ms);
    const FiberHandle reader = rig.scope.spawn(
        "reader", [&] { EXPECT_EQ(rig.server->read({}).error().code, Errc::canceled); });
    rig.world.scheduler().cancel(reader);
    rig.scope.join();
    EXPECT_EQ(rig.server->read({}).value().size(), 10u);
  }));
}

TEST(sim_stream, a_write_without_memory_says_no_resources_and_takes_nothing) {
  struct Closed final : AllocationGate {
    bool admit(std::size_t) noexcept override { return false; }
  } closed;
  expect_clean(run_rig([&](Rig& rig) {
    rig.world.buffers().set_gate(&closed);
    EXPECT_EQ(write_some(*rig.client, pattern(10)).error().code, Errc::no_resources);
    rig.world.buffers().set_gate(nullptr);
    EXPECT_EQ(write_some(*rig.client, pattern(10)).value(), 10u);
    EXPECT_EQ(rig.server->read({}).value().size(), 10u);
  }));
}

// --- Ends ----------------------------------------------------------------------------------------------------------

TEST(sim_stream, the_end_comes_behind_the_bytes_and_stays) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
    ASSERT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value());
    ASSERT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value()) << "idempotent";
    EXPECT_EQ(rig.server->read({}).value().size(), 10u);
    EXPECT_TRUE(rig.server->read({}).value().empty());
    EXPECT_TRUE(rig.server->read({}).value().empty());
    Bytes into(1);
    EXPECT_EQ(rig.server->read_into(into, {}).value(), 0u);
  }));
}

TEST(sim_stream, the_end_waits_behind_bytes_that_the_window_holds_back) {
  expect_clean(run_rig({}, {}, {.stream = {.receive_buffer = 100}}, [](Rig& rig) {
    ASSERT_TRUE(write_all(*rig.client, pattern(1000)).has_value());
    ASSERT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value());
    EXPECT_EQ(read_to_end(*rig.server), pattern(1000));
  }));
}

TEST(sim_stream, after_one_end_the_other_direction_goes_on) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value());
    EXPECT_TRUE(rig.server->read({}).value().empty());
    for (int i = 0; i < 5; ++i) {
      ASSERT_TRUE(write_all(*rig.server, pattern(100)).has_value());
      Bytes got;
      ASSERT_TRUE(read_up_to(*rig.client, got, 100).has_value());
    }
    ASSERT_TRUE(rig.server->shutdown_write(Deadline::never()).has_value());
    EXPECT_TRUE(rig.client->read({}).value().empty());
  }));
}

TEST(sim_stream, a_write_after_shutdown_is_broken_pipe) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value());
    const auto written = write_some(*rig.client, pattern(1));
    ASSERT_FALSE(written.has_value());
    EXPECT_EQ(written.error().code, Errc::broken);
    EXPECT_EQ(written.error().os_errno, EPIPE);
  }));
}

TEST(sim_stream, a_stream_destroyed_after_both_ends_still_delivers_what_it_wrote) {
  TraceText trace;
  WorldOptions options;
  options.trace = &trace;
  expect_clean(run_rig(options, {}, {.stream = {.receive_buffer = 100}}, [](Rig& rig) {
    ASSERT_TRUE(rig.server->shutdown_write(Deadline::never()).has_value());
    EXPECT_TRUE(rig.client->read({}).value().empty());
    ASSERT_TRUE(write_all(*rig.client, pattern(5000)).has_value());
    ASSERT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value());
    rig.client.reset();
    EXPECT_EQ(read_to_end(*rig.server), pattern(5000));
  }));
  EXPECT_FALSE(trace.has("reset"));
}

TEST(sim_stream, a_stream_destroyed_before_both_ends_resets_its_peer) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value());
    rig.sleep(1ms);
    rig.server.reset();  // it has not read the end, nor ended its side
    const TimePoint start = rig.now();
    const auto read = rig.client->read({});
    ASSERT_FALSE(read.has_value());
    EXPECT_EQ(read.error().code, Errc::broken);
    EXPECT_EQ(read.error().os_errno, ECONNRESET);
    EXPECT_EQ(rig.now() - start, latency);
  }));
}

TEST(sim_stream, a_stream_destroyed_with_unread_bytes_resets_its_peer) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
    rig.sleep(1ms);
    rig.server.reset();
    EXPECT_EQ(rig.client->read({}).error().code, Errc::broken);
  }));
}

TEST(sim_stream, a_write_to_a_destroyed_peer_succeeds_once_and_then_fails) {
  expect_clean(run_rig([](Rig& rig) {
    rig.server->abort();
    EXPECT_TRUE(write_some(*rig.client, pattern(10)).has_value()) << "the reset is still under way";
    rig.sleep(1ms);
    const auto first = write_some(*rig.client, pattern(10));
    ASSERT_FALSE(first.has_value());
    EXPECT_EQ(first.error().code, Errc::broken);
    EXPECT_EQ(first.error().os_errno, ECONNRESET);
    EXPECT_EQ(write_some(*rig.client, pattern(10)).error().os_errno, EPIPE)
        << "the reason is told once";
  }));
}

TEST(sim_stream, after_the_peers_end_a_reset_reads_as_the_end_and_writes_as_broken_pipe) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(rig.server->shutdown_write(Deadline::never()).has_value());
    rig.server->abort();
    rig.sleep(1ms);
    EXPECT_TRUE(rig.client->read({}).value().empty());
    EXPECT_EQ(write_some(*rig.client, pattern(10)).error().os_errno, EPIPE);
  }));
}

TEST(sim_stream, shutdown_of_a_dead_stream_is_not_connected_and_leaves_the_reason_to_others) {
  expect_clean(run_rig([](Rig& rig) {
    rig.server->abort();
    rig.sleep(1ms);
    EXPECT_EQ(rig.client->shutdown_write(Deadline::never()).error().os_errno, ENOTCONN);
    EXPECT_EQ(write_some(*rig.client, pattern(10)).error().os_errno, ECONNRESET);
  }));
}

TEST(sim_stream, shutdown_after_abort_is_broken_also_where_it_had_succeeded_before) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value());
    rig.client->abort();
    EXPECT_EQ(rig.client->shutdown_write(Deadline::never()).error().code, Errc::broken);
  }));
}

// Both ends are under way when one side is aborted: the other is in CLOSING or LAST_ACK, not in CLOSE_WAIT.
TEST(sim_stream, a_reset_after_both_ends_is_a_reset_until_the_last_one_is_acknowledged) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(rig.server->shutdown_write(Deadline::never()).has_value());
    ASSERT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value());
    rig.server->abort();
    rig.sleep(1ms);
    EXPECT_EQ(write_some(*rig.client, pattern(10)).error().os_errno, ECONNRESET);
    EXPECT_EQ(rig.client->read({}).error().os_errno, ECONNRESET) << "what was told stands";
  }));
}

TEST(sim_stream, an_abort_after_both_ends_were_exchanged_changes_nothing_for_the_peer) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(rig.server->shutdown_write(Deadline::never()).has_value());
    ASSERT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value());
    rig.sleep(1ms);
    rig.server->abort();
    rig.sleep(1ms);
    EXPECT_EQ(write_some(*rig.client, pattern(10)).error().os_errno, EPIPE);
    EXPECT_TRUE(rig.client->read({}).value().empty());
  }));
}

TEST(sim_stream, bytes_queued_before_a_reset_are_read_before_it) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(write_all(*rig.client, pattern(1000)).has_value());
    rig.client->abort();
    rig.sleep(1s);
    Bytes got;
    const auto end = read_up_to(*rig.server, got, 2000);
    EXPECT_EQ(got, pattern(1000));
    EXPECT_EQ(end.error().code, Errc::broken);
    EXPECT_EQ(rig.server->read({}).error().code, Errc::broken) << "and stays so";
  }));
}

TEST(sim_stream, an_abort_throws_away_what_was_not_yet_sent) {
  expect_clean(run_rig({}, {}, {.stream = {.receive_buffer = 100}}, [](Rig& rig) {
    ASSERT_TRUE(write_all(*rig.client, pattern(1000)).has_value());
    rig.client->abort();
    Bytes got;
    EXPECT_EQ(read_up_to(*rig.server, got, 1000).error().code, Errc::broken);
    EXPECT_EQ(got, pattern(100));
  }));
}

TEST(sim_stream, an_abort_wakes_this_sides_reader_and_writer) {
  expect_clean(run_rig({}, {.send_buffer = 10}, {.stream = {.receive_buffer = 10}}, [](Rig& rig) {
    rig.scope.spawn("reader", [&] { EXPECT_EQ(rig.client->read({}).error().code, Errc::broken); });
    rig.scope.spawn("writer", [&] {
      EXPECT_EQ(write_all(*rig.client, pattern(100)).error().code, Errc::broken);
    });
    rig.sleep(1s);
    const TimePoint start = rig.now();
    rig.client->abort();
    rig.client->abort();
    rig.scope.join();
    EXPECT_EQ(rig.now(), start);
    EXPECT_EQ(rig.client->read({}).error().code, Errc::broken);
    EXPECT_EQ(rig.client->shutdown_write(Deadline::never()).error().code, Errc::broken);
  }));
}

TEST(sim_stream, a_reset_wakes_the_peers_reader_and_writer) {
  expect_clean(run_rig({}, {.send_buffer = 10}, {.stream = {.receive_buffer = 10}}, [](Rig& rig) {
    rig.scope.spawn("reader", [&] { EXPECT_EQ(rig.client->read({}).error().code, Errc::broken); });
    rig.scope.spawn("writer", [&] {
      EXPECT_EQ(write_all(*rig.client, pattern(100)).error().code, Errc::broken);
    });
    rig.sleep(1s);
    const TimePoint start = rig.now();
    rig.server->abort();
    rig.scope.join();
    EXPECT_EQ(rig.now() - start, latency);
  }));
}

TEST(sim_stream, an_abort_drops_bytes_that_waited_to_be_read) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
    rig.sleep(1ms);
    rig.server->abort();
    EXPECT_EQ(rig.server->read({}).error().code, Errc::broken);
    EXPECT_EQ(rig.world.buffers().blocks_in_use(), 0u);
  }));
}

}  // namespace
}  // namespace twinwire::sim
