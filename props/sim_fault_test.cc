// SPDX-License-Identifier: Apache-2.0
// Each fault of the simulated network, placed by an edit: what it does to both sides, and that it is counted where it
// bit. With everything off nothing bites.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <cerrno>

#include "props/sim_rig.h"

namespace twinwire::sim {
namespace {

// A fault of a direction, at a byte.
WorldOptions at_byte(Site site, EntityId direction, std::uint64_t byte) {
  return with_edits({{site, direction, 0, byte + 1}});
}

struct EndOf {
  Bytes bytes;
  Result<std::size_t> result;
};
EndOf read_all(ByteStream& stream, Deadline deadline = {}) {
  EndOf end;
  end.result = read_up_to(stream, end.bytes, SIZE_MAX, deadline);
  return end;
}

void expect_only(const RunReport& report, Site site, std::uint64_t times = 1) {
  for (std::size_t i = 0; i < site_count; ++i) {
    const auto other = static_cast<Site>(i);
    if (other == Site::wake_order) continue;
    EXPECT_EQ(report.counts[i].bit, other == site ? times : 0u) << name(other);
    EXPECT_EQ(report.counts[i].struck, other == site ? times : 0u) << name(other);
  }
}

// --- None ----------------------------------------------------------------------------------------------------------

TEST(sim_fault, with_every_fault_off_nothing_is_drawn_and_nothing_bites) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    WorldOptions options;
    options.seed = seed;
    const RunReport report = run_rig(options, {}, {}, [](Rig& rig) {
      rig.scope.spawn("writer", [&] {
        EXPECT_TRUE(write_all(*rig.client, pattern(300'000)).has_value());
        EXPECT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value());
      });
      EXPECT_EQ(read_to_end(*rig.server), pattern(300'000));
    });
    expect_clean(report);
    for (std::size_t i = 0; i < site_count; ++i) {
      if (static_cast<Site>(i) == Site::wake_order) continue;
      EXPECT_EQ(report.counts[i].drawn, 0u) << name(static_cast<Site>(i));
      EXPECT_EQ(report.counts[i].bit, 0u) << name(static_cast<Site>(i));
    }
  }
}

// --- Connecting ----------------------------------------------------------------------------------------------------

TEST(sim_fault, connect_delay_postpones_the_answer) {
  const RunReport report =
      run_rig(with_edits({{Site::connect_delay, rig_connection, 0, 1'000'000}}), {}, {},
              [](Rig& rig) { EXPECT_EQ(rig.now().ns, 1'150'000); });
  expect_clean(report);
  expect_only(report, Site::connect_delay);
}

TEST(sim_fault, connect_refused_refuses_though_somebody_listens) {
  const RunReport report =
      run_nodes(with_edits({{Site::connect_refused, rig_connection, 0, 1}}),
                [](World& world, SimNetwork& server, SimNetwork& client, Scope&) {
                  auto acceptor = *server.listen(server.address(port), {});
                  EXPECT_EQ(client.dial(server.address(port), {}, {}).error().code, Errc::refused);
                  EXPECT_EQ(world.now().ns, 100'000);
                  EXPECT_TRUE(client.dial(server.address(port), {}, {}).has_value())
                      << "the next one is another connect";
                });
  expect_clean(report);
  expect_only(report, Site::connect_refused);
}

TEST(sim_fault, connect_refused_does_not_bite_where_nobody_listens) {
  const RunReport report =
      run_nodes(with_edits({{Site::connect_refused, rig_connection, 0, 1}}),
                [](World&, SimNetwork& server, SimNetwork& client, Scope&) {
                  EXPECT_EQ(client.dial(server.address(port), {}, {}).error().code, Errc::refused);
                });
  EXPECT_EQ(bit(report, Site::connect_refused), 0u);
}

TEST(sim_fault, a_black_hole_answers_never) {
  const auto options = with_edits(
      {{Site::connect_black_hole, rig_connection, 0, 1},
       {Site::connect_black_hole, child_entity(child_entity(World::root_entity, 1), 1), 0, 1}});
  const RunReport report =
      run_nodes(options, [](World& world, SimNetwork& server, SimNetwork& client, Scope&) {
        auto acceptor = *server.listen(server.address(port), {});
        const auto patient = client.dial(server.address(port), {}, {});
        EXPECT_EQ(patient.error().code, Errc::timed_out);
        EXPECT_EQ(patient.error().os_errno, ETIMEDOUT);
        EXPECT_EQ(world.now().ns, 127'000'000'000);
        const auto hasty = client.dial(server.address(port), {}, {world.now() + 2s});
        EXPECT_EQ(hasty.error().code, Errc::timed_out);
        EXPECT_EQ(world.now().ns, 129'000'000'000);
      });
  expect_clean(report);
  expect_only(report, Site::connect_black_hole, 2);
}

TEST(sim_fault, accept_failure_1_resets_the_connection_in_the_backlog) {
  const RunReport report = run_nodes(with_edits({{Site::accept_failure, rig_connection, 0, 1}}),
                                     [](World&, SimNetwork& server, SimNetwork& client, Scope&) {
                                       auto acceptor = *server.listen(server.address(port), {});
                                       auto first = *client.dial(server.address(port), {}, {});
                                       auto second = *client.dial(server.address(port), {}, {});
                                       const auto failed = acceptor->accept({});
                                       EXPECT_EQ(failed.error().code, Errc::broken);
                                       EXPECT_EQ(failed.error().os_errno, ECONNABORTED);
                                       EXPECT_EQ(first->read({}).error().code, Errc::broken);
                                       auto accepted = acceptor->accept({});
                                       ASSERT_TRUE(accepted.has_value());
                                       EXPECT_EQ((*accepted)->peer(), second->local());
                                     });
  expect_clean(report);
  expect_only(report, Site::accept_failure);
}

TEST(sim_fault, accept_failure_2_leaves_the_connection_in_the_backlog) {
  const RunReport report = run_nodes(with_edits({{Site::accept_failure, rig_connection, 0, 2}}),
                                     [](World&, SimNetwork& server, SimNetwork& client, Scope&) {
                                       auto acceptor = *server.listen(server.address(port), {});
                                       auto stream = *client.dial(server.address(port), {}, {});
                                       const auto failed = acceptor->accept({});
                                       EXPECT_EQ(failed.error().code, Errc::no_resources);
                                       EXPECT_EQ(failed.error().os_errno, EMFILE);
                                       EXPECT_EQ((*acceptor->accept({}))->peer(), stream->local());
                                     });
  expect_clean(report);
  expect_only(report, Site::accept_failure);
}

// --- Slow and short ------------------------------------------------------------------------------------------------

TEST(sim_fault, segment_delay_postpones_a_segment_and_those_behind_it) {
  const RunReport report = run_rig(
      with_edits({{Site::segment_delay, client_to_server, 0, 5'000}}), {}, {}, [](Rig& rig) {
        const TimePoint start = rig.now();
        ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
        rig.sleep(1us);
        ASSERT_TRUE(write_all(*rig.client, pattern(10, 10)).has_value());
        EXPECT_EQ(rig.server->read({}).value().size(), 20u) << "both at one instant, and in order";
        EXPECT_EQ(rig.now() - start, latency + 5us);
      });
  expect_clean(report);
  expect_only(report, Site::segment_delay);
}

TEST(sim_fault, segment_delay_does_not_bite_behind_a_later_arrival) {
  const RunReport report =
      run_rig(with_edits({{Site::segment_delay, client_to_server, 0, 5'000},
                          {Site::segment_delay, client_to_server, 10, 5'000}}),
              {}, {}, [](Rig& rig) {
                ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
                ASSERT_TRUE(write_all(*rig.client, pattern(10, 10)).has_value());
                EXPECT_EQ(rig.server->read({}).value().size(), 20u);
              });
  EXPECT_EQ(report.counts[static_cast<std::size_t>(Site::segment_delay)].struck, 2u);
  EXPECT_EQ(bit(report, Site::segment_delay), 1u);
}

TEST(sim_fault, segment_delay_postpones_the_end) {
  const RunReport report = run_rig(
      with_edits({{Site::segment_delay, client_to_server, 10, 5'000}}), {}, {}, [](Rig& rig) {
        const TimePoint start = rig.now();
        ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
        ASSERT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value());
        EXPECT_EQ(rig.server->read({}).value().size(), 10u);
        EXPECT_EQ(rig.now() - start, latency);
        EXPECT_TRUE(rig.server->read({}).value().empty());
        EXPECT_EQ(rig.now() - start, latency + 5us);
      });
  expect_only(report, Site::segment_delay);
}

TEST(sim_fault, a_clog_holds_one_direction_and_not_the_other) {
  const RunReport report = run_rig(
      with_edits({{Site::clog, client_to_server, 10, 1'000'000'000}}), {}, {}, [](Rig& rig) {
        const TimePoint start = rig.now();
        ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
        ASSERT_TRUE(write_all(*rig.client, pattern(10, 10)).has_value());
        ASSERT_TRUE(write_all(*rig.client, pattern(10, 20)).has_value());
        ASSERT_TRUE(write_all(*rig.server, pattern(10)).has_value());
        EXPECT_EQ(rig.server->read({}).value().size(), 10u);
        EXPECT_EQ(rig.client->read({}).value().size(), 10u);
        EXPECT_EQ(rig.now() - start, latency);
        EXPECT_EQ(rig.server->read({}).value().size(), 20u);
        EXPECT_EQ(rig.now() - start, latency + 1s);
      });
  expect_clean(report);
  expect_only(report, Site::clog);
}

TEST(sim_fault, a_delay_beyond_all_bounds_is_cut_to_a_month_and_ends_the_run_out_of_time) {
  for (const Site site : {Site::clog, Site::segment_delay}) {
    const RunReport report =
        run_rig(with_edits({{site, client_to_server, 0, UINT64_MAX}}), {}, {}, [](Rig& rig) {
          ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
          EXPECT_EQ(rig.server->read({}).error().code, Errc::canceled) << "told to stop at the end";
        });
    EXPECT_EQ(report.ending, Ending::out_of_time);
    EXPECT_EQ(report.leaked_sockets, 0u);
  }
}

TEST(sim_fault, short_write_takes_the_chosen_number_of_bytes) {
  const RunReport report =
      run_rig(with_edits({{Site::short_write, client_to_server, 0, 17},
                          {Site::short_write, client_to_server, 17, 1}}),
              {}, {}, [](Rig& rig) {
                EXPECT_EQ(write_some(*rig.client, pattern(300), 0).value(), 17u);
                EXPECT_EQ(write_some(*rig.client, pattern(300), 17).value(), 1u);
                EXPECT_EQ(write_some(*rig.client, pattern(300), 18).value(), 282u);
                Bytes got;
                ASSERT_TRUE(read_up_to(*rig.server, got, 300).has_value());
                EXPECT_EQ(got, pattern(300));
              });
  expect_clean(report);
  expect_only(report, Site::short_write, 2);
}

TEST(sim_fault, short_write_takes_at_least_one_byte_and_not_all) {
  const RunReport report = run_rig(
      with_edits({{Site::short_write, client_to_server, 0, UINT64_MAX}}), {}, {}, [](Rig& rig) {
        EXPECT_EQ(write_some(*rig.client, pattern(300)).value(), 299u);
        EXPECT_EQ(write_some(*rig.client, pattern(1)).value(), 1u);
      });
  expect_only(report, Site::short_write);
}

TEST(sim_fault, short_read_hands_out_the_chosen_number_of_bytes) {
  const RunReport report = run_rig(with_edits({{Site::short_read, client_to_server, 0, 3},
                                               {Site::short_read, client_to_server, 3, 5}}),
                                   {}, {}, [](Rig& rig) {
                                     ASSERT_TRUE(write_all(*rig.client, pattern(100)).has_value());
                                     EXPECT_EQ(rig.server->read({}).value().size(), 3u);
                                     Bytes into(50);
                                     EXPECT_EQ(rig.server->read_into(into, {}).value(), 5u);
                                     EXPECT_EQ(rig.server->read({}).value().size(), 92u);
                                   });
  expect_clean(report);
  expect_only(report, Site::short_read, 2);
}

// --- Resets --------------------------------------------------------------------------------------------------------

TEST(sim_fault, reset_breaks_both_sides_when_its_byte_would_be_delivered) {
  for (const std::uint64_t byte : {0u, 1u, 99u, 100u, 150u}) {
    const RunReport report =
        run_rig(at_byte(Site::reset, client_to_server, byte), {}, {}, [&](Rig& rig) {
          const TimePoint start = rig.now();
          rig.scope.spawn("client", [&] {
            EXPECT_EQ(rig.client->read({}).error().code, Errc::broken);
            EXPECT_EQ(rig.now() - start, latency);
            EXPECT_EQ(write_some(*rig.client, pattern(1)).error().code, Errc::broken);
          });
          ASSERT_TRUE(write_all(*rig.client, pattern(100)).has_value());
          ASSERT_TRUE(write_all(*rig.client, pattern(100, 100)).has_value());
          const EndOf end = read_all(*rig.server);
          EXPECT_EQ(end.bytes, pattern(byte));
          EXPECT_EQ(end.result.error().code, Errc::broken);
          rig.scope.join();
        });
    expect_clean(report);
    expect_only(report, Site::reset);
  }
}

TEST(sim_fault, reset_does_not_bite_where_its_byte_is_never_written) {
  const RunReport report =
      run_rig(at_byte(Site::reset, client_to_server, 100), {}, {}, [&](Rig& rig) {
        ASSERT_TRUE(write_all(*rig.client, pattern(100)).has_value());
        rig.sleep(1s);
        EXPECT_EQ(rig.server->read({}).value().size(), 100u);
      });
  EXPECT_EQ(bit(report, Site::reset), 0u);
}

TEST(sim_fault, a_fault_at_the_byte_behind_the_last_meets_the_end) {
  const RunReport report =
      run_rig(at_byte(Site::reset, client_to_server, 100), {}, {}, [&](Rig& rig) {
        ASSERT_TRUE(write_all(*rig.client, pattern(100)).has_value());
        ASSERT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value());
        const EndOf end = read_all(*rig.server);
        EXPECT_EQ(end.bytes, pattern(100));
        EXPECT_EQ(end.result.error().code, Errc::broken);
      });
  expect_only(report, Site::reset);
}

TEST(sim_fault, reset_one_side_tells_the_sender_only_when_it_sends_again) {
  const RunReport report =
      run_rig(at_byte(Site::reset_one_side, client_to_server, 40), {}, {}, [&](Rig& rig) {
        ASSERT_TRUE(write_all(*rig.client, pattern(100)).has_value());
        const EndOf end = read_all(*rig.server);
        EXPECT_EQ(end.bytes, pattern(40));
        EXPECT_EQ(end.result.error().code, Errc::broken);
        EXPECT_EQ(rig.client->read(rig.in(1h)).error().code, Errc::timed_out)
            << "it believes that all is well";
        ASSERT_TRUE(write_all(*rig.client, pattern(1)).has_value());
        const TimePoint start = rig.now();
        EXPECT_EQ(rig.client->read({}).error().code, Errc::broken);
        EXPECT_EQ(rig.now() - start, 2 * latency);
      });
  expect_clean(report);
  expect_only(report, Site::reset_one_side);
}

TEST(sim_fault, reset_one_side_tells_the_sender_when_it_ends_its_side) {
  const RunReport report =
      run_rig(at_byte(Site::reset_one_side, client_to_server, 0), {}, {}, [&](Rig& rig) {
        ASSERT_TRUE(write_all(*rig.client, pattern(1)).has_value());
        rig.sleep(1s);
        ASSERT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value());
        EXPECT_EQ(rig.client->read({}).error().code, Errc::broken);
      });
  expect_only(report, Site::reset_one_side);
}

TEST(sim_fault, a_writer_whose_window_is_closed_learns_of_a_dead_peer_by_a_probe) {
  const RunReport report =
      run_rig(at_byte(Site::reset_one_side, client_to_server, 0), {.send_buffer = 100},
              {.stream = {.receive_buffer = 50}}, [&](Rig& rig) {
                const TimePoint start = rig.now();
                EXPECT_EQ(write_all(*rig.client, pattern(1000)).error().code, Errc::broken);
                EXPECT_EQ(rig.now() - start, 200ms + 3 * latency);
              });
  expect_clean(report);
  expect_only(report, Site::reset_one_side);
}

TEST(sim_fault, reset_overtakes_destroys_what_is_in_flight) {
  const RunReport report = run_rig(
      with_edits({{Site::reset_overtakes, client_to_server, 100, 1}}), {}, {}, [](Rig& rig) {
        ASSERT_TRUE(write_all(*rig.client, pattern(60)).has_value());
        rig.sleep(latency);
        ASSERT_TRUE(write_all(*rig.client, pattern(40, 60)).has_value());
        rig.client->abort();
        const EndOf end = read_all(*rig.server);
        EXPECT_EQ(end.bytes, pattern(60));
        EXPECT_EQ(end.result.error().code, Errc::broken);
      });
  expect_clean(report);
  expect_only(report, Site::reset_overtakes);
}

TEST(sim_fault, reset_overtakes_does_not_bite_where_nothing_is_in_flight) {
  const RunReport report =
      run_rig(with_edits({{Site::reset_overtakes, client_to_server, 60, 1}}), {}, {}, [](Rig& rig) {
        ASSERT_TRUE(write_all(*rig.client, pattern(60)).has_value());
        rig.sleep(1ms);
        rig.client->abort();
        EXPECT_EQ(read_all(*rig.server).bytes, pattern(60));
      });
  EXPECT_EQ(bit(report, Site::reset_overtakes), 0u);
}

// --- Silence -------------------------------------------------------------------------------------------------------

TEST(sim_fault, silent_loss_swallows_bytes_end_and_reset) {
  const RunReport report =
      run_rig(at_byte(Site::silent_loss, client_to_server, 40), {}, {}, [&](Rig& rig) {
        ASSERT_TRUE(write_all(*rig.client, pattern(100)).has_value());
        ASSERT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value());
        EndOf end = read_all(*rig.server, rig.in(10s));
        EXPECT_EQ(end.bytes, pattern(40));
        EXPECT_EQ(end.result.error().code, Errc::timed_out);
        rig.client->abort();
        EXPECT_EQ(rig.server->read(rig.in(1h)).error().code, Errc::timed_out);
      });
  expect_clean(report);
  expect_only(report, Site::silent_loss);
}

TEST(sim_fault, after_silent_loss_a_blocked_writer_and_a_reader_fail_when_retransmission_gives_up) {
  const RunReport report = run_rig(at_byte(Site::silent_loss, client_to_server, 40),
                                   {.send_buffer = 1000}, {}, [&](Rig& rig) {
                                     const TimePoint start = rig.now();
                                     rig.scope.spawn("reader", [&] {
                                       const auto read = rig.client->read({});
                                       EXPECT_EQ(read.error().code, Errc::broken);
                                       EXPECT_EQ(rig.now() - start, 924s + latency);
                                     });
                                     const auto written = write_all(*rig.client, pattern(5000));
                                     EXPECT_EQ(written.error().code, Errc::broken);
                                     EXPECT_EQ(rig.now() - start, 924s + latency);
                                     rig.scope.join();
                                   });
  expect_clean(report);
  expect_only(report, Site::silent_loss);
}

TEST(sim_fault, after_silent_loss_an_idle_sender_with_unacknowledged_bytes_fails_at_its_next_call) {
  const RunReport report =
      run_rig(at_byte(Site::silent_loss, client_to_server, 0), {}, {}, [&](Rig& rig) {
        ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
        rig.sleep(923s);
        EXPECT_TRUE(write_some(*rig.client, pattern(1)).has_value());
        rig.sleep(2s);
        const auto written = write_some(*rig.client, pattern(1));
        EXPECT_EQ(written.error().code, Errc::broken);
        EXPECT_EQ(written.error().os_errno, ETIMEDOUT);
      });
  expect_only(report, Site::silent_loss);
}

TEST(sim_fault, silent_loss_lets_the_other_direction_arrive_but_not_be_acknowledged) {
  const RunReport report =
      run_rig(at_byte(Site::silent_loss, client_to_server, 0), {}, {}, [&](Rig& rig) {
        ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
        rig.sleep(1s);
        ASSERT_TRUE(write_all(*rig.server, pattern(10)).has_value());
        const TimePoint start = rig.now();
        EXPECT_EQ(rig.client->read({}).value().size(), 10u);
        EXPECT_EQ(rig.server->read({}).error().code, Errc::broken)
            << "its bytes were never acknowledged";
        EXPECT_EQ(rig.now() - start, 924s);
      });
  expect_clean(report);
}

TEST(sim_fault, after_silent_loss_a_side_that_gave_up_resets_who_still_writes_to_it) {
  const RunReport report =
      run_rig(at_byte(Site::silent_loss, client_to_server, 0), {}, {}, [&](Rig& rig) {
        ASSERT_TRUE(write_all(*rig.client, pattern(10)).has_value());
        rig.sleep(1000s);
        ASSERT_TRUE(write_all(*rig.server, pattern(10)).has_value());
        EXPECT_EQ(rig.client->read({}).error().code, Errc::broken);
        // The reset that answers is lost as well; only its own retransmission ends the server.
        const TimePoint start = rig.now();
        EXPECT_EQ(rig.server->read({}).error().code, Errc::broken);
        EXPECT_GE(rig.now() - start, 900s);
      });
  expect_clean(report);
}

// --- Early end -----------------------------------------------------------------------------------------------------

TEST(sim_fault, early_fin_ends_the_stream_at_its_byte_and_resets_the_sender) {
  for (const std::uint64_t byte : {0u, 40u, 100u}) {
    const RunReport report =
        run_rig(at_byte(Site::early_fin, client_to_server, byte), {}, {}, [&](Rig& rig) {
          const TimePoint start = rig.now();
          ASSERT_TRUE(write_all(*rig.client, pattern(100)).has_value());
          ASSERT_TRUE(write_all(*rig.client, pattern(100, 100)).has_value());
          const EndOf end = read_all(*rig.server);
          EXPECT_EQ(end.bytes, pattern(byte));
          EXPECT_EQ(end.result.error().code, Errc::closed) << "an end, not a failure";
          EXPECT_EQ(rig.now() - start, latency);
          EXPECT_EQ(rig.client->read({}).error().code, Errc::broken);
          EXPECT_EQ(rig.now() - start, 2 * latency);
        });
    expect_clean(report);
    expect_only(report, Site::early_fin);
  }
}

TEST(sim_fault, early_fin_resets_the_sender_before_the_receivers_own_end_can_reach_it) {
  const RunReport report =
      run_rig(at_byte(Site::early_fin, client_to_server, 40), {}, {}, [&](Rig& rig) {
        ASSERT_TRUE(write_all(*rig.client, pattern(100)).has_value());
        ASSERT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value());
        (void)read_all(*rig.server);
        ASSERT_TRUE(rig.server->shutdown_write(Deadline::never()).has_value());
        rig.server.reset();
        EXPECT_EQ(rig.client->read({}).error().code, Errc::broken);
      });
  expect_clean(report);
  expect_only(report, Site::early_fin);
}

TEST(sim_fault, the_earliest_of_a_directions_faults_is_the_one_that_happens) {
  const RunReport report = run_rig(with_edits({{Site::early_fin, client_to_server, 0, 51},
                                               {Site::reset, client_to_server, 0, 31}}),
                                   {}, {}, [&](Rig& rig) {
                                     ASSERT_TRUE(write_all(*rig.client, pattern(100)).has_value());
                                     const EndOf end = read_all(*rig.server);
                                     EXPECT_EQ(end.bytes, pattern(30));
                                     EXPECT_EQ(end.result.error().code, Errc::broken);
                                   });
  EXPECT_EQ(bit(report, Site::reset), 1u);
  EXPECT_EQ(bit(report, Site::early_fin), 0u);
}

TEST(sim_fault, a_fault_of_one_direction_leaves_bytes_of_the_other_readable) {
  const RunReport report =
      run_rig(at_byte(Site::reset, client_to_server, 0), {}, {}, [&](Rig& rig) {
        ASSERT_TRUE(write_all(*rig.server, pattern(100)).has_value());
        rig.sleep(1ms);
        ASSERT_TRUE(write_all(*rig.client, pattern(1)).has_value());
        rig.sleep(1ms);
        const EndOf end = read_all(*rig.client);
        EXPECT_EQ(end.bytes, pattern(100)) << "it had reached its receive buffer";
        EXPECT_EQ(end.result.error().code, Errc::broken);
      });
  expect_clean(report);
}

// --- All at once ---------------------------------------------------------------------------------------------------

TEST(sim_fault, whatever_the_swarm_does_a_reader_sees_a_prefix_and_the_world_comes_to_an_end) {
  std::array<std::uint64_t, site_count> bites{};
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    WorldOptions options;
    options.seed = seed;
    options.faults = FaultPlan::swarm(seed);
    options.faults.off(Site::bit_flip);  // what is read is held against what was written
    const RunReport report = run_nodes(options, [&](World& world, SimNetwork& server,
                                                    SimNetwork& client, Scope& scope) {
      const StreamOptions small{.send_buffer = 1 + seed % 3000, .receive_buffer = 1 + seed % 5000};
      const bool rude = seed % 4 == 0;
      auto acceptor = *server.listen(server.address(port), {.stream = small});
      const auto talk = [&](ByteStream& stream, std::size_t size) {
        scope.spawn("talker", [&stream, &world, rude, size] {
          if (write_all(stream, pattern(size), {world.now() + 2000s}) && !rude) {
            (void)stream.shutdown_write(Deadline::never());
          } else {
            stream.abort();
          }
        });
        Bytes got;
        (void)read_up_to(stream, got, SIZE_MAX, {world.now() + 2000s});
        EXPECT_EQ(got, pattern(got.size())) << "seed " << seed;
        return got.size();
      };
      std::unique_ptr<ByteStream> accepted;
      scope.spawn("server", [&] {
        for (int tries = 0; tries < 3 && !accepted; ++tries) {
          auto stream = acceptor->accept({world.now() + 200s});
          if (stream) accepted = std::move(*stream);
        }
        if (accepted) {
          EXPECT_LE(talk(*accepted, 20'000), 10'000u);
        }
      });
      auto dialed = client.dial(server.address(port), small, {world.now() + 200s});
      if (dialed) {
        EXPECT_LE(talk(**dialed, 10'000), 20'000u);
      }
      scope.join();
    });
    expect_clean(report);
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed << ": " << options.faults.to_text();
    for (std::size_t i = 0; i < site_count; ++i) {
      EXPECT_LE(report.counts[i].bit, report.counts[i].struck) << name(static_cast<Site>(i));
      bites[i] += report.counts[i].bit;
    }
  }
  for (std::size_t i = 0; i < site_count; ++i) {
    const auto site = static_cast<Site>(i);
    const bool of_streams =
        site < Site::datagram_delay || site == Site::bandwidth || site == Site::no_memory;
    if (!of_streams) continue;
    EXPECT_GT(bites[i], 0u) << name(site) << " never bit in 2,000 seeds";
  }
}

}  // namespace
}  // namespace twinwire::sim
