// SPDX-License-Identifier: Apache-2.0
// Simulated streams behave as Linux TCP does. One fact a test; times are virtual and exact.
#include <gtest/gtest.h>

#include <cerrno>

#include "props/sim_rig.h"

namespace twinwire::sim {
namespace {

constexpr std::size_t kib = 1024;

// --- Connecting ----------------------------------------------------------------------------------------------------

TEST(sim_connect, dial_takes_one_round_trip_and_accept_half_a_trip_more) {
  expect_clean(run_nodes({}, [](World& world, SimNetwork& server, SimNetwork& client, Scope& scope) {
    auto acceptor = *server.listen(server.address(port), {});
    scope.spawn("accept", [&] {
      auto stream = acceptor->accept({});
      ASSERT_TRUE(stream.has_value());
      EXPECT_EQ(world.now().ns, 150'000);
      EXPECT_EQ(to_string((*stream)->peer()), "10.0.0.2:32768");
      EXPECT_EQ(to_string((*stream)->local()), "10.0.0.1:4000");
    });
    auto stream = client.dial(server.address(port), {}, {});
    ASSERT_TRUE(stream.has_value());
    EXPECT_EQ(world.now().ns, 100'000);
    EXPECT_EQ(to_string((*stream)->local()), "10.0.0.2:32768");
    EXPECT_EQ(to_string((*stream)->peer()), "10.0.0.1:4000");
    scope.join();
  }));
}

TEST(sim_connect, a_port_without_a_listener_refuses_after_one_round_trip) {
  expect_clean(run_nodes({}, [](World& world, SimNetwork& server, SimNetwork& client, Scope&) {
    const auto stream = client.dial(server.address(port), {}, {});
    ASSERT_FALSE(stream.has_value());
    EXPECT_EQ(stream.error().code, Errc::refused);
    EXPECT_EQ(stream.error().os_errno, ECONNREFUSED);
    EXPECT_EQ(world.now().ns, 100'000);
  }));
}

TEST(sim_connect, a_host_that_does_not_exist_is_unreachable_after_one_latency) {
  expect_clean(run_nodes({}, [](World& world, SimNetwork&, SimNetwork& client, Scope&) {
    const auto stream = client.dial(Address::v4(10, 0, 0, 77, port), {}, {});
    ASSERT_FALSE(stream.has_value());
    EXPECT_EQ(stream.error().code, Errc::unreachable);
    EXPECT_EQ(stream.error().os_errno, EHOSTUNREACH);
    EXPECT_EQ(world.now().ns, 50'000);
  }));
}

TEST(sim_connect, a_full_backlog_drops_the_syn_which_is_sent_again_after_one_second) {
  expect_clean(run_nodes({}, [](World& world, SimNetwork& server, SimNetwork& client, Scope& scope) {
    auto acceptor = *server.listen(server.address(port), {.backlog = 1});
    // Linux lets one more in than was asked for.
    auto first = *client.dial(server.address(port), {}, {});
    auto second = *client.dial(server.address(port), {}, {});
    scope.spawn("accept later", [&] {
      (void)world.scheduler().sleep_for(500ms);
      (void)acceptor->accept({});
    });
    const TimePoint start = world.now();
    auto third = client.dial(server.address(port), {}, {});
    ASSERT_TRUE(third.has_value());
    EXPECT_EQ(world.now() - start, 1s + 100us);
    scope.join();
  }));
}

TEST(sim_connect, a_backlog_that_stays_full_times_out_after_127_seconds_as_the_network_does) {
  expect_clean(run_nodes({}, [](World& world, SimNetwork& server, SimNetwork& client, Scope&) {
    auto acceptor = *server.listen(server.address(port), {.backlog = 0});
    auto first = *client.dial(server.address(port), {}, {});
    const TimePoint start = world.now();
    const auto second = client.dial(server.address(port), {}, {});
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, Errc::timed_out);
    EXPECT_EQ(second.error().os_errno, ETIMEDOUT);
    EXPECT_EQ(world.now() - start, 127s);
  }));
}

TEST(sim_connect, a_dial_past_its_deadline_leaves_nothing_in_the_backlog) {
  expect_clean(run_nodes({}, [](World& world, SimNetwork& server, SimNetwork& client, Scope&) {
    auto acceptor = *server.listen(server.address(port), {.backlog = 0});
    for (int i = 0; i < 3; ++i) {
      const auto stream = client.dial(server.address(port), {}, {world.now() + 80us});
      ASSERT_FALSE(stream.has_value());
      EXPECT_EQ(stream.error().code, Errc::timed_out);
      EXPECT_EQ(stream.error().os_errno, 0);
    }
    EXPECT_EQ(world.now().ns, 240'000);
    const auto none = acceptor->accept({world.now() + 1s});
    ASSERT_FALSE(none.has_value());
    EXPECT_EQ(none.error().code, Errc::timed_out);
    // Nor a place: the backlog of none has room for the one that Linux grants.
    EXPECT_TRUE(client.dial(server.address(port), {}, {}).has_value());
  }));
}

TEST(sim_connect, a_canceled_dial_says_so_and_gives_its_port_back) {
  expect_clean(run_nodes({}, [](World& world, SimNetwork& server, SimNetwork& client, Scope& scope) {
    auto acceptor = *server.listen(server.address(port), {});
    const StreamOptions from{.local = client.address(777)};
    FiberHandle dialer = scope.spawn("dialer", [&] {
      const auto stream = client.dial(server.address(port), from, {});
      ASSERT_FALSE(stream.has_value());
      EXPECT_EQ(stream.error().code, Errc::canceled);
      EXPECT_EQ(world.now().ns, 30'000);
    });
    (void)world.scheduler().sleep_for(30us);
    EXPECT_EQ(client.dial(server.address(port), from, {}).error().os_errno, EADDRINUSE);
    world.scheduler().cancel(dialer);
    scope.join();
    EXPECT_TRUE(client.dial(server.address(port), from, {}).has_value());
  }));
}

TEST(sim_connect, a_port_in_use_cannot_be_listened_on_until_its_acceptor_is_gone) {
  expect_clean(run_nodes({}, [](World&, SimNetwork& server, SimNetwork& client, Scope&) {
    auto acceptor = *server.listen(server.address(port), {});
    const auto second = server.listen(server.address(port), {});
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, Errc::unreachable);
    EXPECT_EQ(second.error().os_errno, EADDRINUSE);
    EXPECT_TRUE(client.listen(client.address(port), {}).has_value()) << "another node, another port";
    EXPECT_EQ(server.listen(client.address(port), {}).error().os_errno, EADDRNOTAVAIL);
    acceptor.reset();
    EXPECT_TRUE(server.listen(server.address(port), {}).has_value());
  }));
}

TEST(sim_connect, port_0_gives_a_free_ephemeral_port) {
  expect_clean(run_nodes({}, [](World&, SimNetwork& server, SimNetwork&, Scope&) {
    auto first = *server.listen(Address{}, {});
    auto second = *server.listen(server.address(), {});
    EXPECT_EQ(to_string(first->local()), "10.0.0.1:32768");
    EXPECT_EQ(to_string(second->local()), "10.0.0.1:32769");
  }));
}

TEST(sim_connect, destroying_the_acceptor_resets_what_is_in_the_backlog) {
  expect_clean(run_nodes({}, [](World& world, SimNetwork& server, SimNetwork& client, Scope&) {
    auto acceptor = *server.listen(server.address(port), {});
    auto stream = *client.dial(server.address(port), {}, {});
    (void)world.scheduler().sleep_for(1ms);
    acceptor.reset();
    const TimePoint start = world.now();
    const auto read = stream->read({});
    ASSERT_FALSE(read.has_value());
    EXPECT_EQ(read.error().code, Errc::broken);
    EXPECT_EQ(read.error().os_errno, ECONNRESET);
    EXPECT_EQ(world.now() - start, latency);
  }));
}

TEST(sim_connect, an_acceptor_destroyed_between_the_two_halves_of_the_handshake_resets_the_dialer) {
  expect_clean(run_nodes({}, [](World& world, SimNetwork& server, SimNetwork& client, Scope&) {
    auto acceptor = *server.listen(server.address(port), {});
    auto stream = *client.dial(server.address(port), {}, {});
    acceptor.reset();
    EXPECT_EQ(stream->read({}).error().code, Errc::broken);
    EXPECT_EQ(world.now().ns, 200'000);
  }));
}

TEST(sim_connect, a_connection_reset_while_in_the_backlog_is_still_accepted_and_then_broken) {
  expect_clean(run_nodes({}, [](World& world, SimNetwork& server, SimNetwork& client, Scope&) {
    auto acceptor = *server.listen(server.address(port), {});
    auto stream = *client.dial(server.address(port), {}, {});
    stream.reset();
    (void)world.scheduler().sleep_for(1ms);
    auto accepted = acceptor->accept({});
    ASSERT_TRUE(accepted.has_value());
    EXPECT_EQ((*accepted)->read({}).error().code, Errc::broken);
  }));
}

TEST(sim_connect, an_accept_ends_at_its_deadline_or_when_canceled) {
  expect_clean(run_nodes({}, [](World& world, SimNetwork& server, SimNetwork&, Scope& scope) {
    auto acceptor = *server.listen(server.address(port), {});
    EXPECT_EQ(acceptor->accept({world.now() + 7us}).error().code, Errc::timed_out);
    EXPECT_EQ(world.now().ns, 7'000);
    const FiberHandle waiter = scope.spawn("waiter", [&] {
      EXPECT_EQ(acceptor->accept({}).error().code, Errc::canceled);
    });
    (void)world.scheduler().sleep_for(1us);
    world.scheduler().cancel(waiter);
    scope.join();
  }));
}

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
    const iovec pieces[] = {{bytes.data(), 0}, {bytes.data(), 10}, {bytes.data() + 10, 0}, {bytes.data() + 10, 90}};
    EXPECT_EQ(rig.client->write(pieces, {}).value(), 100u);
    Bytes got;
    ASSERT_TRUE(read_into(*rig.server, got, 100).has_value());
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
    EXPECT_EQ(rig.now() - start, 10us + 2 * latency) << "the 200 bytes acknowledged first were too few";
    rig.client.reset();
  }));
}

TEST(sim_stream, unread_bytes_and_those_in_flight_never_exceed_the_receive_buffer) {
  expect_clean(run_rig({}, {}, {.stream = {.receive_buffer = 1000}}, [](Rig& rig) {
    EXPECT_EQ(write_some(*rig.client, pattern(5000)).value(), 5000u) << "the send buffer holds the rest";
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
  expect_clean(run_rig({}, {.send_buffer = 1000}, {.stream = {.receive_buffer = 1000}}, [](Rig& rig) {
    ASSERT_TRUE(write_all(*rig.client, pattern(2000)).has_value());
    const TimePoint start = rig.now();
    const auto written = write_some(*rig.client, pattern(1), 0, rig.in(3s));
    ASSERT_FALSE(written.has_value());
    EXPECT_EQ(written.error().code, Errc::timed_out);
    EXPECT_EQ(rig.now() - start, 3s);
    Bytes got;
    ASSERT_TRUE(read_into(*rig.server, got, 2000).has_value());
    EXPECT_EQ(got, pattern(2000)) << "the write that timed out left no byte";
  }));
}

TEST(sim_stream, a_blocked_writer_obeys_cancellation) {
  expect_clean(run_rig({}, {.send_buffer = 10}, {.stream = {.receive_buffer = 10}}, [](Rig& rig) {
    const FiberHandle writer = rig.scope.spawn("writer", [&] {
      EXPECT_EQ(write_all(*rig.client, pattern(100)).error().code, Errc::canceled);
      EXPECT_EQ(write_some(*rig.client, pattern(1)).error().code, Errc::canceled) << "and so does the next";
    });
    rig.sleep(1s);
    rig.world.scheduler().cancel(writer);
    rig.scope.join();
  }));
}

TEST(sim_stream, bytes_come_whole_and_in_order_through_buffers_of_any_size) {
  for (const std::size_t buffer : {1u, 2u, 7u, 1459u, 1460u, 4096u, 70'000u}) {
    const Bytes sent = pattern(buffer < 10 ? 2000 : 300'000);
    expect_clean(run_rig({}, {.send_buffer = buffer}, {.stream = {.receive_buffer = buffer}}, [&](Rig& rig) {
      rig.scope.spawn("writer", [&] {
        EXPECT_TRUE(write_all(*rig.client, sent).has_value());
        EXPECT_TRUE(rig.client->shutdown_write().has_value());
      });
      EXPECT_EQ(read_to_end(*rig.server), sent) << "buffer " << buffer;
      rig.scope.join();
    }));
  }
}

TEST(sim_stream, a_receive_buffer_unlike_the_send_buffer_loses_nothing) {
  const Bytes sent = pattern(100'000);
  for (const auto& [send, receive] : {std::pair{3u, 5000u}, {5000u, 3u}, {100u, 3001u}, {200'000u, 1461u}}) {
    expect_clean(run_rig({}, {.send_buffer = send}, {.stream = {.receive_buffer = receive}}, [&](Rig& rig) {
      rig.scope.spawn("writer", [&] {
        EXPECT_TRUE(write_all(*rig.client, sent).has_value());
        EXPECT_TRUE(rig.client->shutdown_write().has_value());
      });
      EXPECT_EQ(read_to_end(*rig.server), sent);
      rig.scope.join();
    }));
  }
}

TEST(sim_stream, what_is_written_at_one_instant_travels_as_one_segment) {
  expect_clean(run_rig([](Rig& rig) {
    for (std::size_t i = 0; i < 100; ++i) ASSERT_TRUE(write_all(*rig.client, pattern(1, i)).has_value());
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
    EXPECT_EQ(sizes, (std::vector<std::size_t>{600})) << "the first chance is taken, the second is not";
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
      ASSERT_TRUE(read_into(*rig.server, more, 100).has_value());
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
    EXPECT_EQ(read_into(*rig.server, *std::make_unique<Bytes>(), 10, rig.in(1ns)), Result<void>());
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
    const FiberHandle reader = rig.scope.spawn("reader", [&] {
      EXPECT_EQ(rig.server->read({}).error().code, Errc::canceled);
    });
    ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
    rig.sleep(latency - 1ns);
    rig.world.scheduler().cancel(reader);
    rig.sleep(1us);
    Bytes got;
    ASSERT_TRUE(read_into(*rig.server, got, 10).has_value());
    EXPECT_EQ(got, pattern(10));
  }));
}

TEST(sim_stream, a_canceled_fiber_reads_nothing_though_bytes_wait) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
    rig.sleep(1ms);
    const FiberHandle reader = rig.scope.spawn("reader", [&] {
      EXPECT_EQ(rig.server->read({}).error().code, Errc::canceled);
    });
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
    ASSERT_TRUE(rig.client->shutdown_write().has_value());
    ASSERT_TRUE(rig.client->shutdown_write().has_value()) << "idempotent";
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
    ASSERT_TRUE(rig.client->shutdown_write().has_value());
    EXPECT_EQ(read_to_end(*rig.server), pattern(1000));
  }));
}

TEST(sim_stream, after_one_end_the_other_direction_goes_on) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(rig.client->shutdown_write().has_value());
    EXPECT_TRUE(rig.server->read({}).value().empty());
    for (int i = 0; i < 5; ++i) {
      ASSERT_TRUE(write_all(*rig.server, pattern(100)).has_value());
      Bytes got;
      ASSERT_TRUE(read_into(*rig.client, got, 100).has_value());
    }
    ASSERT_TRUE(rig.server->shutdown_write().has_value());
    EXPECT_TRUE(rig.client->read({}).value().empty());
  }));
}

TEST(sim_stream, a_write_after_shutdown_is_broken_pipe) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(rig.client->shutdown_write().has_value());
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
    ASSERT_TRUE(rig.server->shutdown_write().has_value());
    EXPECT_TRUE(rig.client->read({}).value().empty());
    ASSERT_TRUE(write_all(*rig.client, pattern(5000)).has_value());
    ASSERT_TRUE(rig.client->shutdown_write().has_value());
    rig.client.reset();
    EXPECT_EQ(read_to_end(*rig.server), pattern(5000));
  }));
  EXPECT_FALSE(trace.has("reset"));
}

TEST(sim_stream, a_stream_destroyed_before_both_ends_resets_its_peer) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(rig.client->shutdown_write().has_value());
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
    EXPECT_EQ(write_some(*rig.client, pattern(10)).error().os_errno, EPIPE) << "the reason is told once";
  }));
}

TEST(sim_stream, after_the_peers_end_a_reset_reads_as_the_end_and_writes_as_broken_pipe) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(rig.server->shutdown_write().has_value());
    rig.server->abort();
    rig.sleep(1ms);
    EXPECT_TRUE(rig.client->read({}).value().empty());
    EXPECT_EQ(write_some(*rig.client, pattern(10)).error().os_errno, EPIPE);
  }));
}

TEST(sim_stream, bytes_queued_before_a_reset_are_read_before_it) {
  expect_clean(run_rig([](Rig& rig) {
    ASSERT_TRUE(write_all(*rig.client, pattern(1000)).has_value());
    rig.client->abort();
    rig.sleep(1s);
    Bytes got;
    const auto end = read_into(*rig.server, got, 2000);
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
    EXPECT_EQ(read_into(*rig.server, got, 1000).error().code, Errc::broken);
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
    EXPECT_EQ(rig.client->shutdown_write().error().code, Errc::broken);
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

// --- The world -----------------------------------------------------------------------------------------------------

TEST(sim_world, a_deadlock_is_reported_with_who_waits_for_what) {
  const RunReport report = run_rig([](Rig& rig) {
    rig.scope.spawn("poor reader", [&] { (void)rig.server->read({}); });
  });
  EXPECT_EQ(report.ending, Ending::stuck);
  bool found = false;
  for (const StuckFiber& fiber : report.stuck)
    found |= fiber.name == "poor reader" && fiber.waiting_for == "bytes to read";
  EXPECT_TRUE(found);
  EXPECT_EQ(report.leaked_sockets, 0u);
}

TEST(sim_world, a_slice_that_is_kept_counts_as_a_leaked_buffer) {
  Slice kept;
  const RunReport report = run_rig([&](Rig& rig) {
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
    EXPECT_EQ(run_rig(options, {}, {}, [&](Rig& rig) {
                ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
                kept = *rig.server->read({});
              }).leaked_buffers, 1u);
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
    ASSERT_TRUE(rig.client->shutdown_write().has_value());
    (void)read_to_end(*rig.server);
  }));
  EXPECT_TRUE(trace.has("10.0.0.2:32768>10.0.0.1:4000 connects")) << trace.text;
  EXPECT_TRUE(trace.has("10.0.0.2:32768>10.0.0.1:4000 short write: 17 of 300 bytes at offset 0")) << trace.text;
  EXPECT_TRUE(trace.has("10.0.0.2:32768>10.0.0.1:4000 delivered 300 bytes at offset 0")) << trace.text;
  EXPECT_TRUE(trace.has("10.0.0.2:32768>10.0.0.1:4000 delivered the end at offset 300")) << trace.text;
}

TEST(sim_world, listening_to_the_trace_changes_nothing) {
  const auto scenario = [](Rig& rig) {
    ASSERT_TRUE(write_all(*rig.client, pattern(100 * kib), {}).has_value() || true);
    (void)rig.client->shutdown_write();
  };
  WorldOptions options;
  options.faults = FaultPlan::swarm(7);
  options.faults[Site::connect_refused].ppm = options.faults[Site::connect_black_hole].ppm = 0;
  options.faults[Site::accept_failure].ppm = 0;
  const auto both = [&](Rig& rig) {
    rig.scope.spawn("writer", [&] { scenario(rig); });
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
