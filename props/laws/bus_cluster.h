// SPDX-License-Identifier: Apache-2.0
// BusCluster: the nodes of the scenario `bus`, their programs, and those who come to the plane of replicas and should
// not. Apart from the transport of the clients: bus_cluster.cc, bus_newcomers.cc.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "props/laws/bus_app.h"
#include "props/laws/overheard.h"

namespace twinwire::laws {

struct BusNode {
  BusNode(Scheduler& scheduler, bus::ReplicaId i)
      : id(i), name("r" + std::to_string(i)), stop(scheduler), ended(scheduler) {}

  bus::ReplicaId id;
  std::string name;
  std::optional<Address> replicas;  // where it listens, in every incarnation
  std::optional<Address> clients;
  BusApp* app = nullptr;  // while it is up
  Event stop;             // asks its program to end
  Event ended;
  bus::ShutdownOutcome outcome;
  Duration shutdown_took{0};
  std::uint64_t starts = 0;
};

class BusCluster {
 public:
  // Opens the client plane of a bus; the address has a port of 0, or the one of before.
  using OpenClients = std::function<Result<Address>(bus::Bus&, const Address&)>;

  BusCluster(Env& env, std::size_t nodes, OpenClients open_clients);

  // Runs the program of that node until it was asked to stop; again, whenever a fault has ended it.
  void run(BusNode& node);

  // --- What main does ------------------------------------------------------------------------------------------------
  // Whether every two nodes are connected, and both know.
  bool whole() const;
  // Waits for that. Law: bus_mesh.
  void await_whole(Duration bound, std::string_view after);
  // Drops every connection of replicas.
  void renew();
  // Waits until each node hears what each other one says now: no connection is there in name only. Law: bus_mesh.
  void await_heard(Duration bound);
  // Waits for something that is to come within a bound.
  template <class F>
  bool await(Duration bound, F&& come) {
    const TimePoint end = now() + bound;
    while (!come()) {
      if (now() >= end || !scheduler_->sleep_for(times.unit / 100)) return come();
    }
    return true;
  }
  std::uint64_t replicas_lost() const;
  bool idle() const;
  // Law: bus_left: nobody is served who has no place.
  void judge_left(std::string_view after);

  // --- Who comes to the plane of replicas ----------------------------------------------------------------------------
  struct Visit {
    bool authenticated = false;
    Duration until_authenticated{0};
    Duration until_dropped{0};  // from then on
    bool dropped = false;
  };
  // Has the key, and proves to be `as`; then sends. Law: bus_duplicate, where a handler hears it.
  Visit twin(BusNode& at, bus::ReplicaId as);
  // The same, but then says nothing, as one that is gone without a word.
  Visit sleeper(BusNode& at, bus::ReplicaId as);
  // Has no key, or another one, or what true replicas were overheard to say; and sends all the same. Law: bus_identity.
  void stranger(BusNode& at);
  // Says nothing, until it is dropped or the time is over. Whether it was dropped.
  bool mute(BusNode& at, Duration patience);

  Scheduler& scheduler() noexcept { return *scheduler_; }
  TimePoint now() noexcept { return env_->node("main").clock().now(); }
  Judge& judge() noexcept { return env_->judge(); }

  static constexpr std::size_t handshakes_max = BusTimes::handshakes_max;
  BusTimes times;
  BusBook book;
  std::vector<std::unique_ptr<BusNode>> nodes;
  bool storm = true;  // while it is, everybody sends at random

 private:
  Visit come_as(BusNode& at, bus::ReplicaId as, std::optional<BusBook::Session> session,
                Duration patience);
  void live(BusNode& node, Network& network);
  bool open_planes(BusNode& node, bus::Bus& bus, const OverheardHandshake& who);
  void chatter(BusNode& node, BusApp& app);
  Result<Address> listen(bus::Bus& bus, const Address& address, const OverheardHandshake& who);
  Result<void> join(bus::Bus& bus, const OverheardHandshake& who);
  bus::BusOptions options_of(const BusNode& node) const;
  bus::HandshakeOptions handshake_of(bus::ReplicaId id, bus::HandshakeMemory& memory) const;

  Env* env_;
  Scheduler* scheduler_;
  OpenClients open_clients_;
  bool tls_;  // the plane of replicas
  std::size_t queue_max_;
  std::uint64_t pace_us_;
  Event all_listen_;
  Overheard overheard_;
  bus::HandshakeMemory visitors_;  // of those who come and are no node
  std::uint64_t strangers_ = 0;
};

}  // namespace twinwire::laws
