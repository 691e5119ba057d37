// SPDX-License-Identifier: Apache-2.0
// ShardApp: the application on one shard of a node: what it is told by its bus, held against the laws, and what it
// sends to peers of any shard. ShardBoard: what the shards of one incarnation of a node know together.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "props/laws/bus_app.h"
#include "props/laws/bus_book.h"
#include "props/laws/env.h"
#include "transport/bus/bus.h"

namespace twinwire::laws {

class ShardApp;

struct ShardBoard {
  static constexpr std::size_t replicas = 8;

  std::vector<ShardApp*> apps;  // by shard; nullptr: it is not up
  std::array<std::optional<std::uint16_t>, replicas>
      owner;                          // of each replica, as handlers were told
  std::deque<bus::ClientId> clients;  // the last that came; some are gone
  bool draining_replicas = false;     // in a shutdown that nothing forces
};

// Its node is down, and what its program still does is to unwind.
bool was_killed(const Network& network) noexcept;

class ShardApp final : public bus::BusHandler {
 public:
  ShardApp(Env& env, BusBook& book, Network& network, std::string name, const BusTimes& times,
           ShardBoard& board, std::uint16_t shard, std::size_t shards_max)
      : env_(&env),
        book_(&book),
        network_(&network),
        name_(std::move(name)),
        times_(&times),
        board_(&board),
        shard_(shard),
        shards_max_(shards_max) {}

  void serve(bus::Bus& bus) noexcept { bus_ = &bus; }

  // --- What the bus tells --------------------------------------------------------------------------------------------
  void on_client_messages(bus::ClientId from, std::span<const Message> messages) override;
  void on_replica_messages(bus::ReplicaId from, std::span<const Message> messages) override;
  void on_client_connected(bus::ClientId id, const Address& peer) noexcept override;
  void on_client_lost(bus::ClientId id, Error why) noexcept override;
  void on_replica_connected(bus::ReplicaId id) noexcept override;
  void on_replica_lost(bus::ReplicaId id, Error why) noexcept override;
  void on_forward_refused(const bus::PeerId& to, Message message, Error why) noexcept override;
  void on_refused(bus::Plane plane, std::string_view what, Error why) noexcept override;

  // --- What it sends -------------------------------------------------------------------------------------------------
  // Whichever shard that peer is on. Laws: bus_suspends, bus_refusal, bus_drain, bus_owner.
  Result<void> say(bus::ClientId to, std::size_t body_max, BusAsk ask = BusAsk::nothing);
  Result<void> say(bus::ReplicaId to, std::size_t body_max, BusAsk ask = BusAsk::nothing);

  // Over which that goes; begun where it never has.
  BusBook::Session session_with(bus::ClientId to);
  BusBook::Session session_with(bus::ReplicaId to);

  // After the shutdown: every connection that was told of was told to be lost, and nothing is left.
  void judge_end();

  std::optional<bus::ClientId> client_of(BusBook::Session session) const;
  // Over which it sends to them now; none where it never did.
  std::optional<BusBook::Session> session_to(bus::ClientId id) const;
  std::optional<BusBook::Session> session_to(bus::ReplicaId id) const;
  // No handler is at work, and what was queued for those who are connected has come, or come back.
  bool idle() const;
  std::uint64_t replicas_lost() const noexcept { return replicas_lost_; }
  bus::Bus& bus() noexcept { return *bus_; }
  const std::string& name() const noexcept { return name_; }

 private:
  struct Peer {
    bool connected = false;
    std::vector<std::unique_ptr<BusBook::Hearing>> hearings;
  };
  // What it sends to a replica over the connection of that claim.
  struct ToReplica {
    bus::OwnerClaim claim;
    std::optional<BusBook::Session> session;
  };
  void connected(Peer& peer, const std::string& who);
  void lost(Peer& peer, const std::string& who, Error why);
  template <class Id>
  void heard(Id from, Peer& peer, const std::string& who, std::span<const Message> messages);
  template <class Id>
  Result<void> send(Id to, BusBook::Session session, Command command, std::size_t body_max,
                    BusAsk ask);
  BusBook::Session begin(const std::string& who);
  Judge& judge() noexcept { return env_->judge(); }

  Env* env_;
  BusBook* book_;
  Network* network_;
  std::string name_;
  const BusTimes* times_;
  ShardBoard* board_;
  std::uint16_t shard_;
  std::size_t shards_max_;  // of any node
  bus::Bus* bus_ = nullptr;
  std::array<Peer, ShardBoard::replicas> replicas_{};
  std::map<bus::ClientId, Peer> clients_;
  std::array<ToReplica, ShardBoard::replicas> to_replicas_{};
  std::map<bus::ClientId, BusBook::Session> to_clients_;
  std::vector<BusBook::Session> begun_;
  std::uint64_t replicas_lost_ = 0;
  std::size_t handling_ = 0;
};

}  // namespace twinwire::laws
