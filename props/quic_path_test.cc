// SPDX-License-Identifier: Apache-2.0
// QUIC when the way changes: an address that is no longer the same, on purpose or not, and a server that has forgotten.
// ctest: no_tsan
#include "props/quic_rig.h"

namespace twinwire::laws {
namespace {

// Echoes until the connection ends; what it was asked, and from where at the end.
struct Echo {
  std::size_t echoed = 0;
  std::optional<Error> end;

  void run(QuicRig& rig, QuicConn conn) {
    auto [reader, writer] = split(std::move(conn));
    for (;;) {
      auto message = reader.read_message(default_max_message, rig.in(600s));
      if (!message) {
        end = message.error();
        (void)writer.close(5s);
        return;
      }
      Batch batch(1);
      batch.push(std::move(*message));
      if (!writer.send_batch(batch, rig.in(600s))) return;
      ++echoed;
    }
  }
};

void exchange(QuicRig& rig, QuicReader& reader, QuicWriter& writer, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    Batch batch(1);
    batch.push(rig.message(30'000, i));
    ASSERT_TRUE(writer.send_batch(batch, rig.in(30s))) << i;
    auto message = reader.read_message(default_max_message, rig.in(30s));
    ASSERT_TRUE(message) << i << " " << to_string(message.error());
    ASSERT_EQ(request_id(*message), i);
  }
}

template <class Body>
void with_echo(QuicRig& rig, Scope& scope, const Address* by_way_of, Body&& body) {
  auto listener = Quic::listen(rig.server, scope, rig.server.address(4000), rig.listening);
  ASSERT_TRUE(listener);
  Echo echo;
  run_scope(rig.client.scheduler(), [&](Scope& both) {
    both.spawn("echo", [&] {
      auto peer = listener->accept(rig.in(5s));
      ASSERT_TRUE(peer);
      echo.run(rig, std::move(peer->first));
    });
    auto conn = Quic::dial(rig.client, by_way_of != nullptr ? *by_way_of : listener->local(),
                           rig.dialing, rig.in(5s));
    ASSERT_TRUE(conn) << to_string(conn.error());
    auto [reader, writer] = split(std::move(*conn));
    body(reader, writer);
    const auto closed = writer.close(5s);
    EXPECT_TRUE(closed) << to_string(closed.error());
  });
  EXPECT_EQ(echo.end, Error{Errc::closed});
}

TEST(QuicPath, a_connection_moves_to_another_local_address_and_loses_nothing) {
  in_quic_world([](QuicRig& rig, Scope& scope) {
    with_echo(rig, scope, nullptr, [&](QuicReader& reader, QuicWriter& writer) {
      exchange(rig, reader, writer, 3);
      for (int move = 0; move < 5; ++move) {
        const auto moved = writer.migrate(rig.client, rig.client.address());
        ASSERT_TRUE(moved) << to_string(moved.error());
        exchange(rig, reader, writer, 10);
        (void)rig.client.scheduler().sleep_for(1s);
      }
    });
  });
}

TEST(QuicPath, a_connection_that_was_accepted_does_not_move) {
  in_quic_world([](QuicRig& rig, Scope& scope) {
    auto listener = Quic::listen(rig.server, scope, rig.server.address(4000), rig.listening);
    auto conn = Quic::dial(rig.client, listener->local(), rig.dialing, rig.in(5s));
    ASSERT_TRUE(conn);
    auto peer = listener->accept(rig.in(5s));
    ASSERT_TRUE(peer);
    auto [reader, writer] = split(std::move(peer->first));
    EXPECT_EQ(writer.migrate(rig.server, rig.server.address()).error(), Errc::unsupported);
  });
}

TEST(QuicPath, a_move_to_an_address_in_use_leaves_the_connection_as_it_was) {
  in_quic_world([](QuicRig& rig, Scope& scope) {
    with_echo(rig, scope, nullptr, [&](QuicReader& reader, QuicWriter& writer) {
      exchange(rig, reader, writer, 2);
      auto taken = rig.client.bind(rig.client.address(5000), {});
      ASSERT_TRUE(taken);
      EXPECT_EQ(writer.migrate(rig.client, rig.client.address(5000)).error(), Errc::unreachable);
      exchange(rig, reader, writer, 2);
    });
  });
}

// A NAT gives a connection that was quiet another port; the peer validates it and answers there.
TEST(QuicPath, a_nat_that_forgets_costs_nothing) {
  in_quic_world([](QuicRig& rig, Scope& scope) {
    sim::SimNetwork& box = rig.world.add_node("nat");
    QuicRelay relay(box, scope, rig.server.address(4000));
    const Address front = relay.address();
    with_echo(rig, scope, &front, [&](QuicReader& reader, QuicWriter& writer) {
      exchange(rig, reader, writer, 3);
      for (int times = 0; times < 5; ++times) {
        relay.forget();
        exchange(rig, reader, writer, 10);
      }
    });
    EXPECT_EQ(relay.mappings(), 6U);
  });
}

// A server that lost its memory, but not its secret, says so; the client need not wait for its idle time-out.
TEST(QuicPath, a_restarted_server_with_the_same_secret_ends_old_connections_at_once) {
  for (const bool same_secret : {true, false})
    in_quic_world([&](QuicRig& rig, Scope& scope) {
      rig.listening.secret.emplace().fill(std::byte{7});
      sim::SimNetwork& box = rig.world.add_node("relay");
      sim::SimNetwork& again = rig.world.add_node("server again");
      auto listener = Quic::listen(rig.server, scope, rig.server.address(4000), rig.listening);
      if (!same_secret) rig.listening.secret.reset();
      auto restarted = Quic::listen(again, scope, again.address(4000), rig.listening);
      ASSERT_TRUE(listener && restarted);
      QuicRelay relay(box, scope, listener->local());
      auto conn = Quic::dial(rig.client, relay.address(), rig.dialing, rig.in(5s));
      ASSERT_TRUE(conn) << to_string(conn.error());
      auto peer = listener->accept(rig.in(5s));
      ASSERT_TRUE(peer);
      auto [reader, writer] = split(std::move(*conn));
      (void)rig.client.scheduler().sleep_for(100ms);
      relay.lead_to(restarted->local());
      const TimePoint asked = rig.client.clock().now();
      Batch batch(1);
      batch.push(rig.message(10));
      EXPECT_TRUE(writer.send_batch(batch, rig.in(5s)));
      EXPECT_EQ(reader.read_message(default_max_message, rig.in(600s)).error(), Errc::broken);
      if (same_secret)
        EXPECT_LT(rig.client.clock().now() - asked, 1s);
      else
        EXPECT_GE(rig.client.clock().now() - asked, rig.dialing.idle_timeout);
    });
}

// The engine refuses a move when the peer has given no connection id to spare. The socket that was bound for it goes,
// the one before stays, and goes with the connection.
TEST(QuicPath, a_move_that_is_refused_leaves_no_socket_behind) {
  in_quic_world([](QuicRig& rig, Scope& scope) {
    std::uint16_t port = 5000;
    with_echo(rig, scope, nullptr, [&](QuicReader& reader, QuicWriter& writer) {
      exchange(rig, reader, writer, 2);
      Result<void> moved{};
      while (port < 5100 && (moved = writer.migrate(rig.client, rig.client.address(port)))) ++port;
      EXPECT_EQ(moved.error(), Errc::no_resources);
      (void)rig.client.scheduler().sleep_for(1s);
      EXPECT_TRUE(rig.client.bind(rig.client.address(port), {}));
      exchange(rig, reader, writer, 2);
    });
    (void)rig.client.scheduler().sleep_for(10s);
    for (std::uint16_t used = 5000; used <= port; ++used)
      EXPECT_TRUE(rig.client.bind(rig.client.address(used), {})) << used;
  });
}

}  // namespace
}  // namespace twinwire::laws
