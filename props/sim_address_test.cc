// SPDX-License-Identifier: Apache-2.0
// The addresses of a simulated node: IPv4, IPv6, loopback of both, and "any"; and who may have which port of them.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>

#include "props/sim_rig.h"

namespace twinwire::sim {
namespace {

constexpr Address loopback4 = Address::v4(127, 0, 0, 1, 0);
constexpr Address loopback6{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 0};
constexpr Address any4 = Address::v4(0, 0, 0, 0, 0);

Address at(Address address, std::uint16_t port) {
  address.port = port;
  return address;
}

int dial_errno(Network& network, const Address& to, const Address& from = {}) {
  const auto stream = network.dial(to, {.local = from}, {});
  return stream ? 0 : stream.error().os_errno;
}

TEST(sim_address, a_connection_over_ipv6_has_ipv6_addresses) {
  expect_clean(run_nodes({}, [](World&, SimNetwork& a, SimNetwork& b, Scope&) {
    auto acceptor = *b.listen(b.address6(4000), {});
    EXPECT_EQ(to_string(acceptor->local()), "[fd00::2]:4000");
    auto dialed = *a.dial(acceptor->local(), {}, {});
    auto accepted = *acceptor->accept({});
    EXPECT_EQ(to_string(dialed->local()), "[fd00::1]:32768");
    EXPECT_EQ(accepted->peer(), dialed->local());
    EXPECT_EQ(accepted->local(), dialed->peer());
    EXPECT_EQ(dial_errno(a, b.address(4000)), ECONNREFUSED) << "of IPv6 alone";
  }));
}

TEST(sim_address, a_listener_on_any_hears_both_families) {
  expect_clean(run_nodes({}, [](World&, SimNetwork& a, SimNetwork& b, Scope&) {
    auto acceptor = *b.listen(at({}, 4000), {});
    for (const Address& to : {b.address(4000), b.address6(4000)}) {
      auto dialed = *a.dial(to, {}, {});
      EXPECT_EQ((*acceptor->accept({}))->local(), to);
    }
    auto over_loopback = *b.dial(at(loopback6, 4000), {}, {});
    EXPECT_EQ((*acceptor->accept({}))->peer(), over_loopback->local());
    EXPECT_EQ(at(over_loopback->local(), 0), loopback6);
    auto of_ipv4 = *b.listen(at(any4, 4001), {});
    EXPECT_EQ(dial_errno(a, b.address6(4001)), ECONNREFUSED);
  }));
}

TEST(sim_address, loopback_is_heard_by_its_own_node_alone) {
  expect_clean(run_nodes({}, [](World& world, SimNetwork& a, SimNetwork& b, Scope&) {
    auto acceptor = *b.listen(at(loopback4, 4000), {});
    auto socket = *b.bind(at(loopback4, 4000), {});
    EXPECT_EQ(dial_errno(a, b.address(4000)), ECONNREFUSED);
    EXPECT_EQ(dial_errno(b, b.address(4000)), ECONNREFUSED) << "its other address";
    EXPECT_EQ(dial_errno(b, at(loopback4, 4000)), 0);
    EXPECT_EQ(dial_errno(b, a.address(4000), loopback4), EINVAL) << "it does not leave";

    auto outside = *a.bind(at(any4, 0), {});
    auto inside = *b.bind(at(any4, 0), {});
    const Datagram from_outside{.remote = b.address(4000), .bytes = {}};
    const Datagram from_inside{.remote = at(loopback4, 4000), .bytes = {}};
    EXPECT_TRUE(outside->send({&from_outside, 1}, {}));
    EXPECT_TRUE(inside->send({&from_inside, 1}, {}));
    const auto batch = socket->receive({world.now() + 1s});
    ASSERT_TRUE(batch);
    ASSERT_EQ(batch->size(), 1u);
    EXPECT_EQ(at(batch->front().remote, 0), loopback4);
  }));
}

TEST(sim_address, a_port_is_free_on_one_address_while_another_has_it) {
  expect_clean(run_nodes({}, [](World&, SimNetwork& node, SimNetwork&, Scope&) {
    auto own = *node.listen(node.address(4000), {});
    auto loop = *node.listen(at(loopback4, 4000), {});
    auto six = *node.listen(node.address6(4000), {});
    for (const Address& taken : {node.address(4000), at(any4, 4000), at({}, 4000)})
      EXPECT_EQ(node.listen(taken, {}).error().os_errno, EADDRINUSE) << to_string(taken);
  }));
}

// Runs a connection from port 5000 of the first node to port 4000 of the second, which ends as `end` has it.
template <class End>
void after_connection(const End& end,
                      const std::function<void(World&, SimNetwork&, SimNetwork&)>& then) {
  expect_clean(run_nodes({}, [&](World& world, SimNetwork& a, SimNetwork& b, Scope& scope) {
    {
      auto acceptor = *b.listen(b.address(4000), {});
      auto dialed = *a.dial(b.address(4000), {.local = a.address(5000)}, {});
      auto accepted = *acceptor->accept({});
      end(dialed, accepted);
    }
    ASSERT_TRUE(scope.scheduler().sleep_for(1s));
    then(world, a, b);
  }));
}

void farewell(std::unique_ptr<ByteStream>& first, std::unique_ptr<ByteStream>& second) {
  ASSERT_TRUE(first->shutdown_write({}));
  EXPECT_TRUE(read_to_end(*second).empty());
  ASSERT_TRUE(second->shutdown_write({}));
  EXPECT_TRUE(read_to_end(*first).empty());
}

TEST(sim_address, whoever_ended_first_keeps_its_port_for_a_minute) {
  after_connection([](auto& dialed, auto& accepted) { farewell(dialed, accepted); },
                   [](World& world, SimNetwork& a, SimNetwork& b) {
                     auto acceptor = *b.listen(b.address(4000), {});
                     EXPECT_EQ(dial_errno(a, b.address(4000), a.address(5000)), EADDRINUSE);
                     EXPECT_EQ(a.listen(a.address(5000), {}).error().os_errno, EADDRINUSE);
                     (void)world.scheduler().sleep_for(60s);
                     EXPECT_EQ(dial_errno(a, b.address(4000), a.address(5000)), 0);
                   });
}

TEST(sim_address, where_the_listeners_side_ended_first_it_can_listen_again_at_once) {
  after_connection([](auto& dialed, auto& accepted) { farewell(accepted, dialed); },
                   [](World&, SimNetwork& a, SimNetwork& b) {
                     EXPECT_EQ(dial_errno(b, a.address(9), b.address(4000)), EADDRINUSE)
                         << "a dial does not reuse";
                     auto acceptor = b.listen(b.address(4000), {});
                     ASSERT_TRUE(acceptor);
                     EXPECT_EQ(dial_errno(a, b.address(4000), a.address(5000)), 0);
                   });
}

TEST(sim_address, a_connection_that_was_reset_keeps_no_port) {
  after_connection([](auto& dialed, auto&) { dialed->abort(); },
                   [](World&, SimNetwork& a, SimNetwork& b) {
                     auto acceptor = *b.listen(b.address(4000), {});
                     EXPECT_EQ(dial_errno(a, b.address(4000), a.address(5000)), 0);
                   });
}

TEST(sim_address, a_dial_does_not_come_from_a_port_that_accepted_connections_have) {
  expect_clean(run_nodes({}, [](World&, SimNetwork& a, SimNetwork& b, Scope&) {
    auto acceptor = *b.listen(b.address(4000), {});
    auto other = *a.listen(a.address(4000), {});
    auto dialed = *a.dial(b.address(4000), {}, {});
    auto accepted = *acceptor->accept({});
    acceptor.reset();
    EXPECT_EQ(dial_errno(b, a.address(4000), b.address(4000)), EADDRINUSE);
    EXPECT_TRUE(b.listen(b.address(4000), {})) << "a listener does";
  }));
}

// A socket that a listener on :: accepted takes its port in both families; one of a listener on an IPv6 address does
// not.
TEST(sim_address, nor_over_ipv4_from_a_port_on_which_a_listener_on_both_accepted_ipv6) {
  for (const bool both : {true, false})
    expect_clean(run_nodes({}, [&](World&, SimNetwork& a, SimNetwork& b, Scope&) {
      auto acceptor = *b.listen(both ? at({}, 4000) : b.address6(4000), {});
      auto dialed = *a.dial(b.address6(4000), {}, {});
      auto accepted = *acceptor->accept({});
      acceptor.reset();
      EXPECT_EQ(dial_errno(b, a.address(1), at(any4, 4000)), both ? EADDRINUSE : ECONNREFUSED);
      EXPECT_EQ(dial_errno(b, a.address(1), b.address(4000)), ECONNREFUSED);
    }));
}

}  // namespace
}  // namespace twinwire::sim
