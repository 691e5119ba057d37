// SPDX-License-Identifier: Apache-2.0
// A world for QUIC's own tests: a node that listens, a node that dials, and a relay that can stand between them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "props/laws/fit_world.h"
#include "props/laws/test_credentials.h"
#include "sim/sim_network.h"
#include "transport/quic/quic.h"

namespace twinwire::laws {

using namespace std::chrono_literals;

struct QuicRig {
  sim::World& world;
  sim::SimNetwork& server;
  sim::SimNetwork& client;
  QuicOptions listening;
  QuicOptions dialing;

  Deadline in(Duration d) { return client.clock().in(d); }
  Message message(std::size_t body, std::uint64_t id = 0) {
    auto made = MutableMessage::create(client.buffers(), Command::request, body);
    made->set_request_id(id);
    for (std::size_t i = 0; i < body; ++i) made->body()[i] = static_cast<std::byte>(i * 7 + id);
    return std::move(*made).freeze();
  }
};

// Runs `body(rig, scope)` in a fiber of a fresh world, and checks that nothing is left behind.
template <class Body>
void in_quic_world(Body&& body, const sim::FaultPlan& faults = sim::FaultPlan::none(),
                   std::uint64_t seed = 5) {
  StackPool stacks;
  sim::WorldOptions options;
  options.seed = seed;
  options.faults = faults;
  sim::World world(options, stacks);
  sim::SimNetwork& server = world.add_node("server");
  sim::SimNetwork& client = world.add_node("client");
  const auto report = world.run([&](Scope& scope) {
    QuicRig rig{world, server, client, {}, {}};
    rig.listening.tls.credentials = test_credentials().server;
    rig.dialing.tls.credentials = test_credentials().client;
    rig.dialing.tls.server_name = test_server_name;
    fit_world(rig.listening);
    fit_world(rig.dialing);
    body(rig, scope);
    scope.cancel();
  });
  EXPECT_EQ(report.ending, sim::Ending::finished);
  EXPECT_EQ(report.leaked_buffers, 0U);
  EXPECT_EQ(report.leaked_sockets, 0U);
}

// A connection between the two nodes, and its four halves.
struct Talk {
  QuicReader client_reads, server_reads;
  QuicWriter client, server;
};
template <class Body>
void in_talk(QuicRig& rig, Scope& scope, Body&& body) {
  auto listener = Quic::listen(rig.server, scope, rig.server.address(4000), rig.listening);
  ASSERT_TRUE(listener);
  auto conn = Quic::dial(rig.client, listener->local(), rig.dialing, rig.in(5s));
  ASSERT_TRUE(conn) << to_string(conn.error());
  auto peer = listener->accept(rig.in(1s));
  ASSERT_TRUE(peer);
  auto [client_reads, client] = split(std::move(*conn));
  auto [server_reads, server] = split(std::move(peer->first));
  Talk talk{std::move(client_reads), std::move(server_reads), std::move(client), std::move(server)};
  body(talk);
}
inline bool same(const Message& a, const Message& b) {
  return std::ranges::equal(a.bytes(), b.bytes());
}

// A box on the way, as a NAT is one: what comes for its address it sends on from a socket of its own for each sender,
// and back.
class QuicRelay {
 public:
  QuicRelay(sim::SimNetwork& network, Scope& scope, const Address& to)
      : state_(std::make_shared<State>(network, scope, to)) {
    scope.spawn("relay.front", [state = state_] { state->forward(state); });
  }

  Address address() const { return state_->front->local(); }
  // It forgets: what comes from now on leaves from another port.
  void forget() { state_->backs.clear(); }
  // What comes from now on goes to another server.
  void lead_to(const Address& to) { state_->to = to; }
  std::size_t mappings() const { return state_->mappings; }

 private:
  using Socket = std::shared_ptr<DatagramSocket>;

  struct State {
    State(sim::SimNetwork& on, Scope& runs_in, const Address& leads_to)
        : network(&on), scope(&runs_in), to(leads_to), front(bind()) {}

    Socket bind() const {
      auto socket = network->bind(network->address(), {});
      EXPECT_TRUE(socket);
      return std::move(*socket);
    }
    static void pass(DatagramSocket& by, const Address& remote, const ReceivedDatagram& datagram) {
      const Datagram same{.remote = remote,
                          .ecn = datagram.ecn,
                          .segment_size = datagram.segment_size,
                          .bytes = datagram.bytes.bytes()};
      (void)by.send({&same, 1}, Deadline::never());
    }
    void forward(const std::shared_ptr<State>& self) {
      while (auto batch = front->receive(Deadline::never()))
        for (const ReceivedDatagram& datagram : *batch) {
          Socket& back = backs[datagram.remote.port];
          if (back == nullptr) {
            back = bind();
            ++mappings;
            scope->spawn("relay.back", [self, back, client = datagram.remote] {
              while (auto answers = back->receive(Deadline::never()))
                for (const ReceivedDatagram& answer : *answers) pass(*self->front, client, answer);
            });
          }
          pass(*back, to, datagram);
        }
    }

    sim::SimNetwork* network;
    Scope* scope;
    Address to;
    Socket front;
    std::map<std::uint16_t, Socket> backs;
    std::size_t mappings = 0;
  };
  std::shared_ptr<State> state_;
};

}  // namespace twinwire::laws
