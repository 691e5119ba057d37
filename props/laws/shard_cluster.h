// SPDX-License-Identifier: Apache-2.0
// ShardCluster: the nodes of the scenario `bus_shards`, each with several shards, and what main asks of them; apart
// from the transport of the clients. A shard has doors of its own for clients and for replicas; shard 0 also deals out.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "props/laws/bus_app.h"
#include "props/laws/overheard.h"
#include "props/laws/shard_app.h"
#include "props/laws/watched_mail.h"
#include "sim/shard_mail.h"
#include "transport/bus/shard_router.h"

namespace twinwire::laws {

struct ShardNode {
  ShardNode(Scheduler& scheduler, bus::ReplicaId i, std::size_t shards)
      : id(i),
        name("r" + std::to_string(i)),
        clients(shards),
        replicas(shards),
        outcomes(shards),
        stop(scheduler),
        ended(scheduler) {}

  bus::ReplicaId id;
  std::string name;
  // Where its shards listen, in every incarnation.
  std::vector<std::optional<Address>> clients;
  std::vector<std::optional<Address>> replicas;
  std::optional<Address> dealt;
  std::vector<bus::ShutdownOutcome> outcomes;
  // While it is up.
  ShardBoard* board = nullptr;
  std::vector<bus::ShardRouter*> routers;
  sim::SimShards* mails = nullptr;

  Event stop;  // asks its program to end
  Event ended;
  Duration shutdown_took{0};
  std::uint64_t starts = 0;
  std::uint64_t dials = 0;    // by others
  std::size_t tells_all = 0;  // the shard that tells the others to shut down

  bool up() const;  // on all its shards
  ShardApp& app(std::size_t shard) const { return *board->apps[shard]; }
};

class ShardCluster {
 public:
  using OpenClients = std::function<Result<Address>(bus::Bus&, const Address&)>;

  ShardCluster(Env& env, std::size_t nodes, OpenClients open_clients);

  void run(ShardNode& node);

  // --- What main does ------------------------------------------------------------------------------------------------
  // Whether every two nodes have one connection. Laws: bus_mesh, bus_owner.
  bool whole() const;
  void await_whole(Duration bound, std::string_view after);
  void renew();
  // Until every shard of each node is heard by each other node. Law: bus_mesh.
  void await_heard(Duration bound);
  bool idle() const;
  std::uint64_t replicas_lost() const;
  void judge_left(std::string_view after);
  template <class F>
  bool await(Duration bound, F&& come) {
    const TimePoint end = now() + bound;
    while (!come()) {
      if (now() >= end || !scheduler_->sleep_for(times.unit / 100)) return come();
    }
    return true;
  }
  // Law bus_duplicate: no shard has dialed whom another one is to dial.
  void judge_dials();
  // Takes the place of `as` on that shard, and says nothing; until the time is over. What it hears is held against the
  // book.
  void sleeper(ShardNode& at, std::size_t shard, bus::ReplicaId as, Duration stays);
  // Proves to be `as` on that shard. Whether it was dropped, and after how long; law bus_duplicate where it is heard.
  std::optional<Duration> twin(ShardNode& at, std::size_t shard, bus::ReplicaId as);

  Scheduler& scheduler() noexcept { return *scheduler_; }
  TimePoint now() noexcept { return env_->node("main").clock().now(); }
  Judge& judge() noexcept { return env_->judge(); }

  const std::size_t shards;  // of each node
  BusTimes times;
  BusBook book;
  std::vector<std::unique_ptr<ShardNode>> nodes;
  bool storm = true;
  std::size_t mail_max;
  std::size_t queue_max;
  Duration mail_latency{500};

 private:
  struct Incarnation;
  void live(ShardNode& node, Network& network);
  void live_shard(ShardNode& node, Network& network, Incarnation& here, std::uint16_t shard);
  bool open_planes(ShardNode& node, bus::Bus& bus, bus::ShardRouter& router,
                   const OverheardHandshake& who);
  Result<void> join(ShardNode& node, bus::Bus& bus, const OverheardHandshake& who);
  void chatter(ShardNode& node, ShardApp& app, std::uint16_t shard);
  bus::BusOptions options_of(const ShardNode& node, std::uint16_t shard) const;
  bus::HandshakeOptions handshake_of(bus::ReplicaId id, bus::HandshakeMemory& memory) const;

  Env* env_;
  Scheduler* scheduler_;
  OpenClients open_clients_;
  std::uint64_t pace_us_;
  Event all_listen_;
  Overheard overheard_;
  bus::HandshakeMemory visitors_;
};

}  // namespace twinwire::laws
