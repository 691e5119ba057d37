// SPDX-License-Identifier: Apache-2.0
// For the tests of the bus by example: a handler that writes down what it is told, a bus with a client plane, a node of
// a cluster; and links, doors and dialers without a transport, which do what a test wants.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "props/sim_rig.h"
#include "transport/bus/handshake/handshake.h"
#include "transport/bus/planes.h"
#include "transport/tcp/tcp.h"

namespace twinwire::bus::bus_test {

using namespace std::chrono_literals;

// Writes down what it is told.
class Recorder final : public BusHandler {
 public:
  void on_client_messages(ClientId from, std::span<const Message> messages) override {
    for (const Message& message : messages) {
      requests.push_back(request_id(message));
      if (on_request) on_request(from, message);
    }
  }
  void on_replica_messages(ReplicaId from, std::span<const Message> messages) override {
    for (const Message& message : messages)
      from_replicas.push_back({from, message.header().view()});
    if (on_replica_request) on_replica_request();
  }
  void on_client_connected(ClientId id, const Address&) noexcept override {
    clients.push_back(id);
    if (on_connected) on_connected(id);
  }
  void on_client_lost(ClientId id, Error why) noexcept override { lost.push_back({id, why}); }
  void on_replica_connected(ReplicaId id) noexcept override { replicas.push_back(id); }
  void on_replica_lost(ReplicaId id, Error why) noexcept override {
    lost_replicas.push_back({id, why});
  }

  void on_peer_refused(Plane, const Address& peer, std::string_view what, Error) noexcept override {
    refused.push_back({peer, std::string(what)});
  }

  std::function<void(ClientId, const Message&)> on_request;
  std::function<void()> on_replica_request;
  std::function<void(ClientId)> on_connected;
  std::vector<std::uint64_t> requests;
  std::vector<std::pair<ReplicaId, std::uint32_t>> from_replicas;
  std::vector<ClientId> clients;
  std::vector<ReplicaId> replicas;
  std::vector<std::pair<ClientId, Error>> lost;
  std::vector<std::pair<ReplicaId, Error>> lost_replicas;
  std::vector<std::pair<Address, std::string>> refused;
};

inline Message message(Network& network, std::uint64_t id, Command command = Command::request,
                       std::size_t body = 0) {
  auto made = MutableMessage::create(network.buffers(), command, body);
  if (command == Command::request || command == Command::reply) made->set_request_id(id);
  made->set_view(static_cast<std::uint32_t>(id));
  return std::move(*made).freeze();
}

inline BusOptions options_of(ReplicaId replica) {
  BusOptions options;
  options.replica = replica;
  options.members = {1, 2, 3};
  return options;
}

// --- Clients -------------------------------------------------------------------------------------------------------

struct Clients {
  sim::World& world;
  sim::SimNetwork& server;
  sim::SimNetwork& node;
  Recorder& handler;
  Bus& bus;
  Address address;

  std::pair<Tcp::Reader, Tcp::Writer> connect() const {
    auto conn = Tcp::dial(node, address, {}, {});
    EXPECT_TRUE(conn.has_value());
    return split(std::move(*conn));
  }
  void sleep(Duration d) const { (void)world.scheduler().sleep_for(d); }
  void send(Tcp::Writer& writer, std::uint64_t id) const {
    Batch batch(1);
    batch.push(message(node, id));
    EXPECT_TRUE(writer.send_batch(batch, {}).has_value());
  }
};

// Runs body(Clients&) on a bus with a client plane over TCP; the body shuts it down, or this does.
template <class F>
void with_clients(const BusOptions& options, F&& body) {
  sim::expect_clean(sim::run_nodes(
      {}, [&](sim::World& world, sim::SimNetwork& server, sim::SimNetwork& client, Scope&) {
        Recorder handler;
        auto made = Bus::create(server, options, handler);
        ASSERT_TRUE(made.has_value());
        Bus& bus = **made;
        const auto address = open_client_plane<Tcp>(bus, server.address(sim::port), {});
        ASSERT_TRUE(address.has_value());
        Clients clients{world, server, client, handler, bus, *address};
        body(clients);
        (void)bus.shut_down();
        EXPECT_EQ(bus.connections_alive(), 0u);
        EXPECT_EQ(bus.clients(), 0u);
        EXPECT_EQ(handler.clients.size(), handler.lost.size());
      }));
}

// --- Replicas ------------------------------------------------------------------------------------------------------

inline HandshakeOptions handshake_options(HandshakeMemory& memory, ReplicaId id, int key = 7) {
  HandshakeOptions options;
  options.cluster = {1, 2};
  options.id = id;
  options.keys.current.bytes.fill(static_cast<std::byte>(key));
  options.memory = &memory;
  return options;
}

// One node of a cluster: a bus with a replica plane over TCP.
struct Replica {
  Replica(sim::SimNetwork& n, ReplicaId id, int key = 7,
          const std::function<void(BusOptions&)>& change = {})
      : network(n), authenticator(handshake_options(memory, id, key)) {
    BusOptions options = options_of(id);
    if (change) change(options);
    bus = std::move(*Bus::create(network, options, handler));
    EXPECT_TRUE(
        open_replica_plane<Tcp>(*bus, network.address(sim::port), {}, authenticator).has_value());
  }
  Member member() const { return {bus->options().replica, network.address(sim::port)}; }
  void join(const std::vector<Member>& members) const {
    EXPECT_TRUE(join_mesh<Tcp>(*bus, members, {}, authenticator).has_value());
  }

  sim::SimNetwork& network;
  HandshakeMemory memory;
  KeyedHandshake authenticator;
  Recorder handler;
  std::unique_ptr<Bus> bus;
};

template <class F>
void with_nodes(F&& body) {
  sim::expect_clean(
      sim::run_nodes({}, [&](sim::World& world, sim::SimNetwork& a, sim::SimNetwork& b, Scope&) {
        body(world, a, b, world.add_node("third"));
      }));
}

// --- Without a transport -------------------------------------------------------------------------------------------

// What a link does: each a function that the test sets; as it stands, one that waits until its time is out, or it is
// told to stop, or the link is dropped.
struct Acts {
  explicit Acts(Scheduler& s) noexcept : scheduler(&s) {}
  Errc wait(Deadline deadline) {
    if (dropped) return Errc::broken;
    const Wake wake = parked.wait(*scheduler, deadline, "nothing");
    return dropped ? Errc::broken : to_errc(wake);
  }

  Scheduler* scheduler;
  std::function<Result<void>(Batch&, Deadline)> read = [this](Batch&, Deadline d) {
    return Result<void>(wait(d));
  };
  std::function<Result<void>(Batch&, Deadline)> send = [](Batch& batch, Deadline) {
    batch.clear();
    return Result<void>();
  };
  std::function<Result<ReplicaId>(Deadline)> authenticate = [this](Deadline d) {
    return Result<ReplicaId>(wait(d));
  };
  WaitQueue parked;
  bool dropped = false;
};

class ActedLink final : public ReplicaLink {
 public:
  explicit ActedLink(Acts& acts) noexcept : acts_(&acts) {}
  Result<void> read_batch(Batch& into, std::size_t, Deadline deadline) override {
    return acts_->read(into, deadline);
  }
  Result<void> send_batch(Batch& batch, Deadline deadline) override {
    return acts_->send(batch, deadline);
  }
  Result<void> close(Duration) override { return {}; }
  void drop() noexcept override {
    acts_->dropped = true;
    acts_->parked.wake_all(*acts_->scheduler);
  }
  Result<ReplicaId> authenticate_dialer(Network&, ReplicaId, Deadline deadline) override {
    return acts_->authenticate(deadline);
  }
  Result<ReplicaId> authenticate_acceptor(Network&, Deadline deadline) override {
    return acts_->authenticate(deadline);
  }

 private:
  Acts* acts_;
};

// Yields what `next` makes: each call of accept() is one of it.
template <class L>
class ActedDoor final : public Door<L> {
 public:
  using Newcomer = Result<std::pair<std::unique_ptr<L>, Address>>;
  explicit ActedDoor(std::function<Newcomer(Deadline)> next) : next_(std::move(next)) {}
  Newcomer accept(Deadline deadline) override { return next_(deadline); }

 private:
  std::function<Newcomer(Deadline)> next_;
};

// A door through which come those whose acts are here, one after another as they are put in.
struct Visitors {
  explicit Visitors(Scheduler& s) noexcept : scheduler(&s) {}
  template <class L>
  std::unique_ptr<Door<L>> door() {
    return std::make_unique<ActedDoor<L>>(
        [this](Deadline deadline) -> typename ActedDoor<L>::Newcomer {
          while (waiting.empty())
            if (const Wake wake = news.wait(*scheduler, deadline, "visitors"); wake != Wake::ready)
              return to_errc(wake);
          Acts& acts = *waiting.front();
          waiting.pop_front();
          return std::pair<std::unique_ptr<L>, Address>(std::make_unique<ActedLink>(acts),
                                                        Address{});
        });
  }
  void enter(Acts& acts) {
    waiting.push_back(&acts);
    news.wake_all(*scheduler);
  }

  Scheduler* scheduler;
  std::deque<Acts*> waiting;
  WaitQueue news;
};

// Whom one dials is what the function makes of it.
class ActedDialer final : public Dialer {
 public:
  using Dialed = Result<std::unique_ptr<ReplicaLink>>;
  explicit ActedDialer(std::function<Dialed(Deadline)> dialed) : dialed_(std::move(dialed)) {}
  Dialed dial(Network&, const Address&, Deadline deadline) override { return dialed_(deadline); }

 private:
  std::function<Dialed(Deadline)> dialed_;
};

// Runs body(World&, SimNetwork&) on one node.
template <class F>
void with_node(F&& body) {
  sim::expect_clean(sim::run_nodes({}, [&](sim::World& world, sim::SimNetwork& node,
                                           sim::SimNetwork&, Scope&) { body(world, node); }));
}

}  // namespace twinwire::bus::bus_test
