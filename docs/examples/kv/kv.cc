// SPDX-License-Identifier: Apache-2.0
// A service upon the replicated log: keys and values, on three replicas. All three stand in this one process, each with
// a bus and a file of its own, so that there is something to see; in production each is a process (`twinwire serve
// --bus` is one), and nothing below changes.
//
// It stores something, loses a backup, stores more, loses the primary, and finds everything again.
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "real/file_storage.h"
#include "real/probe.h"
#include "real/ring_network.h"
#include "transport/bus/handshake/handshake.h"
#include "transport/bus/planes.h"
#include "transport/log/client.h"
#include "transport/log/replica.h"
#include "transport/tcp/tcp.h"

using namespace twinwire;

namespace {

constexpr U128 cluster{2026, 1};
const std::vector<bus::ReplicaId> members{1, 2, 3};

// --- The service: what a request does. The same on every replica, whenever it is applied ---------------------------

class Keys final : public log::Application {
 public:
  // "key=value" stores it, "key" asks; the answer is what stood there before.
  void apply(log::Op, std::span<const std::byte> body, std::vector<std::byte>& answer) override {
    const std::string_view text(reinterpret_cast<const char*>(body.data()), body.size());
    const std::size_t at = text.find('=');
    std::string& value = values_[std::string(text.substr(0, at))];
    const auto before = std::as_bytes(std::span(value));
    answer.assign(before.begin(), before.end());
    if (at != std::string_view::npos) value = text.substr(at + 1);
  }

 private:
  std::map<std::string, std::string> values_;
};

// --- A replica -----------------------------------------------------------------------------------------------------

struct Failed {
  std::string why;
};

// Where all of them listen: known beforehand in production.
struct Places {
  std::map<bus::ReplicaId, Address> replicas;
  Address clients;  // of the primary
};

class Node {
 public:
  Node(real::RingNetwork& network, bus::ReplicaId id, Places& places)
      : network_(&network), id_(id), places_(&places) {}

  void start(real::Ring& ring, const std::string& folder) {
    std::string why;
    // The file: created where there is none, locked, and looked through.
    auto storage = real::FileStorage::open(ring, folder + "/" + std::to_string(id_) + ".log", why);
    if (!storage) throw Failed{why};
    storage_ = std::move(*storage);
    log::LogOptions options;
    options.cluster = cluster;
    options.replica = id_;
    options.members = members;
    replica_ = std::make_unique<log::Replica>(*network_, *storage_, keys_, options);
    if (!replica_->recover(why)) throw Failed{why};

    // The bus, whose handler the replica is; over it the replica's own work.
    bus::BusOptions bus_options;
    bus_options.replica = id_;
    bus_options.members = members;
    bus_options.redial_every = std::chrono::milliseconds(100);
    bus_options.redial_jitter = std::chrono::milliseconds(20);
    auto made = bus::Bus::create(*network_, bus_options, *replica_);
    if (!made) throw Failed{"the bus cannot be made"};
    bus_ = std::move(*made);
    if (!replica_->start(*bus_)) throw Failed{"the replica cannot start"};

    // Who connects: clients over any transport, replicas over TCP or TLS, with the cluster's key.
    const auto clients = bus::open_client_plane<Tcp>(*bus_, place_of_clients(), {});
    const auto own = bus::open_replica_plane<Tcp>(*bus_, place(), {}, handshake());
    if (!clients || !own) throw Failed{"nobody can listen here"};
    if (id_ == 1) places_->clients = *clients;
    places_->replicas[id_] = *own;
  }
  // Once all addresses are known.
  void join() {
    std::vector<bus::Member> all;
    for (const auto& [id, address] : places_->replicas) all.push_back({id, address});
    (void)bus::join_mesh<Tcp>(*bus_, all, {}, handshake());
  }
  // Before it is destroyed. It suspends, which a destructor may not.
  void stop() {
    if (bus_) (void)bus_->shut_down();
  }

 private:
  Address place() const {
    const auto known = places_->replicas.find(id_);
    return known != places_->replicas.end() ? known->second : Address::v4(127, 0, 0, 1, 0);
  }
  Address place_of_clients() const {
    return id_ == 1 && places_->clients.port != 0 ? places_->clients : Address::v4(127, 0, 0, 1, 0);
  }
  bus::KeyedHandshake handshake() {
    bus::HandshakeOptions options;
    options.cluster = cluster;
    options.id = id_;
    options.keys.current.bytes.fill(std::byte{42});  // 32 bytes from a good source, in production
    options.memory = &memory_;
    return bus::KeyedHandshake(options);
  }

  real::RingNetwork* network_;
  bus::ReplicaId id_;
  Places* places_;
  bus::HandshakeMemory memory_;
  Keys keys_;
  std::unique_ptr<real::FileStorage> storage_;
  std::unique_ptr<log::Replica> replica_;  // outlives the bus
  std::unique_ptr<bus::Bus> bus_;
};

// --- A client ------------------------------------------------------------------------------------------------------

using Client = log::Client<Tcp>;

std::string ask(real::RingNetwork& network, Client& client, std::string_view request) {
  // Retried over new connections until it is answered: applied once, however often it was sent.
  const auto answer = client.submit(std::as_bytes(std::span(request)),
                                    network.clock().in(std::chrono::seconds(20)));
  if (!answer) throw Failed{"no answer: " + to_string(answer.error())};
  const auto body = answer->body();
  std::string text(reinterpret_cast<const char*>(body.data()), body.size());
  std::printf("%-12.*s entry %llu, before: '%s'\n", static_cast<int>(request.size()),
              request.data(), static_cast<unsigned long long>(answer->op), text.c_str());
  return text;
}

using Nodes = std::map<bus::ReplicaId, std::unique_ptr<Node>>;

void tell_the_story(real::Ring& ring, real::RingNetwork& network, const std::string& folder,
                    Nodes& nodes, Places& places) {
  const auto start = [&](bus::ReplicaId id) {
    nodes[id] = std::make_unique<Node>(network, id, places);
    nodes[id]->start(ring, folder);
  };
  const auto lose = [&](bus::ReplicaId id) {
    nodes[id]->stop();
    nodes.erase(id);
  };
  for (const bus::ReplicaId id : members) start(id);
  for (auto& [id, node] : nodes) node->join();

  Client client(network, places.clients, {});
  ask(network, client, "colour=red");
  ask(network, client, "colour=green");
  lose(3);  // two of three are a majority
  ask(network, client, "colour=blue");
  start(3);  // it is sent what it has missed
  nodes[3]->join();
  lose(1);
  start(1);  // the primary finds its log, its values and its clients' sessions in the file
  nodes[1]->join();
  if (ask(network, client, "colour") != "blue") throw Failed{"something was forgotten"};
  client.close(std::chrono::seconds(1));
}

}  // namespace

int main() {
  const auto ring = real::Ring::create({});
  if (!ring) {
    std::fprintf(stderr, "kv: %s\n", real::explain_no_ring(ring.error()).c_str());
    return 6;
  }
  std::string folder = (std::filesystem::temp_directory_path() / "kv-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return 6;
  int code = 0;
  {
    real::RingNetwork network(**ring);
    Scope root((*ring)->scheduler());
    Nodes nodes;
    Places places;
    root.spawn("main", [&] {
      try {
        tell_the_story(**ring, network, folder, nodes, places);
      } catch (const Failed& failed) {
        std::fprintf(stderr, "kv: %s\n", failed.why.c_str());
        code = 1;
      }
      for (auto& [id, node] : nodes) node->stop();
      nodes.clear();
    });
    (void)(*ring)->scheduler().run();
  }
  std::filesystem::remove_all(folder);
  return code;
}
