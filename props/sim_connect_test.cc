// SPDX-License-Identifier: Apache-2.0
// Connecting in the World: who is answered, when, and with what. Times are virtual and exact.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <cerrno>

#include "props/sim_rig.h"

namespace twinwire::sim {
namespace {

TEST(sim_connect, dial_takes_one_round_trip_and_accept_half_a_trip_more) {
  expect_clean(
      run_nodes({}, [](World& world, SimNetwork& server, SimNetwork& client, Scope& scope) {
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
  expect_clean(
      run_nodes({}, [](World& world, SimNetwork& server, SimNetwork& client, Scope& scope) {
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
  expect_clean(
      run_nodes({}, [](World& world, SimNetwork& server, SimNetwork& client, Scope& scope) {
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
    EXPECT_TRUE(client.listen(client.address(port), {}).has_value())
        << "another node, another port";
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
    const FiberHandle waiter = scope.spawn(
        "waiter", [&] { EXPECT_EQ(acceptor->accept({}).error().code, Errc::canceled); });
    (void)world.scheduler().sleep_for(1us);
    world.scheduler().cancel(waiter);
    scope.join();
  }));
}

}  // namespace
}  // namespace twinwire::sim
