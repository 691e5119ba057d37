// SPDX-License-Identifier: Apache-2.0
// Simulated datagrams: whole or not at all, in any order, with UDP's limits.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <cerrno>

#include "props/sim_rig.h"
#include "sim/sim_datagram.h"

namespace twinwire::sim {
namespace {

struct Sockets {
  World& world;
  std::unique_ptr<DatagramSocket>& a;
  std::unique_ptr<DatagramSocket>& b;
};

// Runs body(Sockets&): a on 10.0.0.1:5000, b on 10.0.0.2:5000.
template <class F>
RunReport run_sockets(const WorldOptions& options, F&& body, const DatagramOptions& of_b = {}) {
  return run_nodes(options, [&](World& world, SimNetwork& first, SimNetwork& second, Scope&) {
    auto a = *first.bind(first.address(5000), {});
    auto b = *second.bind(second.address(5000), of_b);
    Sockets sockets{world, a, b};
    body(sockets);
  });
}

Result<std::size_t> send(DatagramSocket& from, const DatagramSocket& to, const Bytes& bytes,
                         Ecn ecn = Ecn::not_ect, std::uint16_t segment_size = 0) {
  const Datagram datagram{
      .remote = to.local(), .ecn = ecn, .segment_size = segment_size, .bytes = bytes};
  return from.send({&datagram, 1}, {});
}

// Everything that arrives until nothing has for a while.
std::vector<Bytes> receive_all(World& world, DatagramSocket& socket) {
  std::vector<Bytes> all;
  for (;;) {
    auto batch = socket.receive({world.now() + 10s});
    if (!batch) return all;
    for (const ReceivedDatagram& d : *batch)
      all.emplace_back(d.bytes.bytes().begin(), d.bytes.bytes().end());
  }
}

// The first socket of the first node, as it sends to 10.0.0.2:5000: the entity is not for outsiders, so faults are
// set by probability here.
WorldOptions with_fault(Site site, std::uint32_t ppm, std::uint64_t bound) {
  WorldOptions options;
  options.faults[site] = {ppm, bound};
  return options;
}

TEST(sim_datagram, a_datagram_arrives_after_one_latency_with_its_sender_and_mark) {
  expect_clean(run_sockets({}, [](Sockets& s) {
    EXPECT_EQ(send(*s.a, *s.b, pattern(100), Ecn::ect0).value(), 1u);
    auto batch = s.b->receive({});
    ASSERT_TRUE(batch.has_value());
    ASSERT_EQ(batch->size(), 1u);
    EXPECT_EQ(s.world.now().ns, 50'000);
    EXPECT_EQ(to_string(batch->front().remote), "10.0.0.1:5000");
    EXPECT_EQ(to_string(batch->front().local), "10.0.0.2:5000");
    EXPECT_EQ(batch->front().ecn, Ecn::ect0);
    EXPECT_EQ(batch->front().segment_size, 0);
    EXPECT_EQ(Bytes(batch->front().bytes.bytes().begin(), batch->front().bytes.bytes().end()),
              pattern(100));
  }));
}

TEST(sim_datagram, boundaries_are_kept_also_of_empty_ones) {
  expect_clean(run_sockets({}, [](Sockets& s) {
    for (const std::size_t size : {3u, 0u, 5u})
      EXPECT_EQ(send(*s.a, *s.b, pattern(size)).value(), 1u);
    const auto all = receive_all(s.world, *s.b);
    EXPECT_EQ(all, (std::vector<Bytes>{pattern(3), pattern(0), pattern(5)}));
  }));
}

TEST(sim_datagram, one_call_sends_many_and_one_call_receives_many) {
  expect_clean(run_sockets({}, [](Sockets& s) {
    const Bytes bytes = pattern(10);
    const std::vector<Datagram> many(100, Datagram{.remote = s.b->local(), .bytes = bytes});
    EXPECT_EQ(s.a->send(many, {}).value(), 100u);
    EXPECT_EQ(s.b->receive({}).value().size(), 64u);
    EXPECT_EQ(s.b->receive({}).value().size(), 36u);
  }));
}

TEST(sim_datagram, a_segment_size_cuts_what_is_sent) {
  expect_clean(run_sockets({}, [](Sockets& s) {
    EXPECT_EQ(send(*s.a, *s.b, pattern(250), Ecn::not_ect, 100).value(), 1u);
    EXPECT_EQ(receive_all(s.world, *s.b),
              (std::vector<Bytes>{pattern(100), pattern(100, 100), pattern(50, 200)}));
  }));
}

TEST(sim_datagram, more_than_65507_bytes_are_too_large_unless_they_are_cut) {
  expect_clean(run_sockets({}, [](Sockets& s) {
    EXPECT_EQ(send(*s.a, *s.b, pattern(65'508)).error().os_errno, EMSGSIZE);
    EXPECT_EQ(send(*s.a, *s.b, pattern(70'000), Ecn::not_ect, 65'508).error().code,
              Errc::too_large);
    EXPECT_EQ(send(*s.a, *s.b, pattern(65'507)).value(), 1u);
    EXPECT_EQ(send(*s.a, *s.b, pattern(70'000), Ecn::not_ect, 1000).value(), 1u)
        << "the Ring hands it to the kernel in parts";
    EXPECT_EQ(receive_all(s.world, *s.b).size(), 71u);
  }));
}

TEST(sim_datagram, port_zero_is_unreachable) {
  expect_clean(run_sockets({}, [](Sockets& s) {
    const Datagram datagram{.remote = Address::v4(10, 0, 0, 2, 0), .bytes = {}};
    const auto sent = s.a->send({&datagram, 1}, {});
    EXPECT_EQ(sent.error().code, Errc::unreachable);
    EXPECT_EQ(sent.error().os_errno, EINVAL);
  }));
}

TEST(sim_datagram, an_empty_receive_queue_takes_a_datagram_larger_than_its_buffer) {
  expect_clean(run_sockets({},
                           [](Sockets& s) {
                             for (int i = 0; i < 2; ++i)
                               EXPECT_EQ(send(*s.a, *s.b, pattern(60'000)).value(), 1u);
                             EXPECT_EQ(receive_all(s.world, *s.b).size(), 1u);
                           },
                           {.receive_buffer = 4096}));
}

TEST(sim_datagram, an_error_behind_the_first_datagram_is_told_by_the_next_call) {
  expect_clean(run_sockets({}, [](Sockets& s) {
    const Bytes good = pattern(10);
    const Bytes bad = pattern(70'000);
    const Datagram both[] = {{.remote = s.b->local(), .bytes = good},
                             {.remote = s.b->local(), .bytes = bad}};
    EXPECT_EQ(s.a->send(both, {}).value(), 1u);
    EXPECT_EQ(s.a->send({both + 1, 1}, {}).error().code, Errc::too_large);
  }));
}

TEST(sim_datagram, a_datagram_to_where_nobody_is_bound_vanishes) {
  expect_clean(run_sockets({}, [](Sockets& s) {
    const Bytes bytes = pattern(10);
    for (const Address to : {Address::v4(10, 0, 0, 2, 9), Address::v4(10, 0, 0, 99, 5000)}) {
      const Datagram datagram{.remote = to, .bytes = bytes};
      EXPECT_EQ(s.a->send({&datagram, 1}, {}).value(), 1u);
    }
    EXPECT_EQ(s.a->receive({s.world.now() + 1s}).error().code, Errc::timed_out)
        << "no ICMP for unconnected sockets";
    EXPECT_EQ(send(*s.a, *s.b, pattern(10)).value(), 1u);
  }));
}

TEST(sim_datagram, a_full_receive_buffer_drops_in_silence) {
  const DatagramOptions small{.receive_buffer = 10'000};
  expect_clean(run_sockets(
      {},
      [](Sockets& s) {
        for (std::size_t i = 0; i < 15; ++i)
          EXPECT_EQ(send(*s.a, *s.b, pattern(1000, i)).value(), 1u);
        const auto all = receive_all(s.world, *s.b);
        ASSERT_EQ(all.size(), 10u) << "the oldest stay";
        EXPECT_EQ(all.back(), pattern(1000, 9));
      },
      small));
}

TEST(sim_datagram, the_receive_buffer_holds_212992_bytes_unless_told_otherwise) {
  expect_clean(run_sockets({}, [](Sockets& s) {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(send(*s.a, *s.b, pattern(60'000)).value(), 1u);
    EXPECT_EQ(receive_all(s.world, *s.b).size(), 3u);
  }));
}

TEST(sim_datagram, a_source_address_that_is_not_ours_is_unreachable) {
  expect_clean(run_sockets({}, [](Sockets& s) {
    const Datagram datagram{.remote = s.b->local(), .local = s.b->local(), .bytes = {}};
    EXPECT_EQ(s.a->send({&datagram, 1}, {}).error().code, Errc::unreachable);
  }));
}

TEST(sim_datagram, a_port_in_use_cannot_be_bound_and_is_free_again_afterwards) {
  expect_clean(run_nodes({}, [](World&, SimNetwork& node, SimNetwork&, Scope&) {
    auto socket = *node.bind(node.address(5000), {});
    EXPECT_EQ(node.bind(node.address(5000), {}).error().os_errno, EADDRINUSE);
    EXPECT_TRUE(node.listen(node.address(5000), {}).has_value()) << "UDP and TCP ports are apart";
    socket.reset();
    EXPECT_TRUE(node.bind(node.address(5000), {}).has_value());
    EXPECT_EQ(to_string((*node.bind({}, {}))->local()), "10.0.0.1:32768");
  }));
}

TEST(sim_datagram, a_receive_ends_at_its_deadline_or_when_canceled) {
  expect_clean(run_nodes({}, [](World& world, SimNetwork& node, SimNetwork&, Scope& scope) {
    auto socket = *node.bind(node.address(5000), {});
    EXPECT_EQ(socket->receive({world.now() + 5us}).error().code, Errc::timed_out);
    EXPECT_EQ(world.now().ns, 5'000);
    const FiberHandle waiter =
        scope.spawn("waiter", [&] { EXPECT_EQ(socket->receive({}).error().code, Errc::canceled); });
    (void)world.scheduler().sleep_for(1us);
    world.scheduler().cancel(waiter);
    scope.join();
  }));
}

TEST(sim_datagram, without_memory_send_says_no_resources) {
  struct Closed final : AllocationGate {
    bool admit(std::size_t) noexcept override { return false; }
  } closed;
  expect_clean(run_sockets({}, [&](Sockets& s) {
    s.world.buffers().set_gate(&closed);
    EXPECT_EQ(send(*s.a, *s.b, pattern(10)).error().code, Errc::no_resources);
    s.world.buffers().set_gate(nullptr);
  }));
}

TEST(sim_datagram, what_is_in_flight_or_unread_at_the_end_is_no_leak) {
  expect_clean(run_sockets({}, [&](Sockets& s) {
    EXPECT_EQ(send(*s.a, *s.b, pattern(10)).value(), 1u);
    (void)s.world.scheduler().sleep_for(1ms);
    EXPECT_EQ(send(*s.a, *s.b, pattern(10)).value(), 1u);
  }));
}

// --- Faults --------------------------------------------------------------------------------------------------------

TEST(sim_datagram, loss_loses_and_bites_only_where_somebody_would_have_received) {
  const RunReport report = run_sockets(with_fault(Site::datagram_loss, certain, 1), [](Sockets& s) {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(send(*s.a, *s.b, pattern(10)).value(), 1u);
    EXPECT_TRUE(receive_all(s.world, *s.b).empty());
    s.b.reset();
    const Bytes bytes = pattern(10);
    const Datagram datagram{.remote = Address::v4(10, 0, 0, 2, 5000), .bytes = bytes};
    EXPECT_EQ(s.a->send({&datagram, 1}, {}).value(), 1u);
    (void)s.world.scheduler().sleep_for(1ms);
  });
  expect_clean(report);
  EXPECT_EQ(report.counts[static_cast<std::size_t>(Site::datagram_loss)].struck, 6u);
  EXPECT_EQ(bit(report, Site::datagram_loss), 5u);
}

TEST(sim_datagram, duplication_delivers_twice) {
  const RunReport report =
      run_sockets(with_fault(Site::datagram_duplicate, certain, 1'000), [](Sockets& s) {
        for (std::size_t i = 0; i < 5; ++i)
          EXPECT_EQ(send(*s.a, *s.b, pattern(10, 100 * i)).value(), 1u);
        auto all = receive_all(s.world, *s.b);
        EXPECT_EQ(all.size(), 10u);
        for (std::size_t i = 0; i < 5; ++i)
          EXPECT_EQ(std::count(all.begin(), all.end(), pattern(10, 100 * i)), 2);
      });
  expect_clean(report);
  EXPECT_EQ(bit(report, Site::datagram_duplicate), 5u);
}

TEST(sim_datagram, delay_reorders) {
  WorldOptions options = with_fault(Site::datagram_delay, 500'000, 1'000'000);
  options.seed = 1;
  const RunReport report = run_sockets(options, [](Sockets& s) {
    std::vector<Bytes> sent;
    for (std::size_t i = 0; i < 30; ++i) {
      sent.push_back(pattern(10, 100 * i));
      EXPECT_EQ(send(*s.a, *s.b, sent.back()).value(), 1u);
    }
    auto got = receive_all(s.world, *s.b);
    EXPECT_NE(got, sent);
    std::sort(got.begin(), got.end());
    std::sort(sent.begin(), sent.end());
    EXPECT_EQ(got, sent) << "all of them, and none twice";
  });
  expect_clean(report);
  EXPECT_GT(bit(report, Site::datagram_delay), 5u);
}

TEST(sim_datagram, with_every_fault_off_datagrams_arrive_once_and_in_order) {
  const RunReport report = run_sockets({}, [](Sockets& s) {
    std::vector<Bytes> sent;
    for (std::size_t i = 0; i < 300; ++i) {
      sent.push_back(pattern(10, 100 * i));
      EXPECT_EQ(send(*s.a, *s.b, sent.back()).value(), 1u);
    }
    EXPECT_EQ(receive_all(s.world, *s.b), sent);
  });
  for (const Site site : {Site::datagram_delay, Site::datagram_loss, Site::datagram_duplicate})
    EXPECT_EQ(report.counts[static_cast<std::size_t>(site)].drawn, 0u);
}

}  // namespace
}  // namespace twinwire::sim
