// SPDX-License-Identifier: Apache-2.0
// BusApp: the application on one node of a cluster: what it is told by its bus, held against the laws, and what it
// sends. BusNode: what lasts of that node from one incarnation to the next.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "props/laws/bus_book.h"
#include "props/laws/bus_terms.h"
#include "props/laws/env.h"
#include "transport/bus/bus.h"

namespace twinwire::laws {

// How long things take in this run: a second in the World, less on the Ring, where it passes for real.
class BusApp final : public bus::BusHandler {
 public:
  BusApp(Env& env, BusBook& book, Network& network, std::string name, const BusTimes& times)
      : env_(&env), book_(&book), network_(&network), name_(std::move(name)), times_(&times) {}

  void serve(bus::Bus& bus) noexcept { bus_ = &bus; }

  // --- What the bus tells --------------------------------------------------------------------------------------------
  void on_client_messages(bus::ClientId from, std::span<const Message> messages) override;
  void on_replica_messages(bus::ReplicaId from, std::span<const Message> messages) override;
  void on_client_connected(bus::ClientId id, const Address& peer) noexcept override;
  void on_client_lost(bus::ClientId id, Error why) noexcept override;
  void on_replica_connected(bus::ReplicaId id) noexcept override;
  void on_replica_lost(bus::ReplicaId id, Error why) noexcept override;
  void on_refused(bus::Plane plane, std::string_view what, Error why) noexcept override;

  // --- What it sends -------------------------------------------------------------------------------------------------
  // Errors     those of send_to_client and send_to_replica; no_resources (there is no memory for a message)
  Result<void> say(bus::ClientId to, std::size_t body_max, BusAsk ask = BusAsk::nothing);
  Result<void> say(bus::ReplicaId to, std::size_t body_max, BusAsk ask = BusAsk::nothing);

  // After the shutdown: every connection that was told of was told to be lost, and nothing is left.
  void judge_end();

  // The client that sends that session; none where it is not connected, or has not been heard.
  std::optional<bus::ClientId> client_of(BusBook::Session session) const;
  // One of those that are connected; none where there is none.
  std::optional<bus::ClientId> any_client(std::uint64_t nth) const;
  // Over which it sends to them now.
  BusBook::Session session_to(bus::ReplicaId id) const { return replicas_[id].out; }
  BusBook::Session session_to(bus::ClientId id) const { return clients_.at(id).out; }
  std::uint64_t replicas_lost() const noexcept { return replicas_lost_; }
  // No handler is at work, and what was queued for replicas has come.
  bool idle() const;
  bus::Bus& bus() noexcept { return *bus_; }

 private:
  struct Peer {
    bool connected = false;
    BusBook::Session out = 0;
    // Of this connection, and of those before it: a slow handler may still be with the messages of one.
    std::vector<std::unique_ptr<BusBook::Hearing>> hearings;
  };
  void connected(Peer& peer, const std::string& who);
  void lost(Peer& peer, const std::string& who, Error why);
  template <class Id>
  void heard(Id from, Peer& peer, const std::string& who, std::span<const Message> messages);
  template <class Id>
  Result<void> send(Id to, Peer& peer, Command command, std::size_t body_max, BusAsk ask);
  Peer* find(bus::ClientId id) {
    const auto at = clients_.find(id);
    return at == clients_.end() ? nullptr : &at->second;
  }
  Peer* find(bus::ReplicaId id) { return &replicas_[id]; }
  Judge& judge() noexcept { return env_->judge(); }

  Env* env_;
  BusBook* book_;
  Network* network_;
  std::string name_;
  const BusTimes* times_;
  bus::Bus* bus_ = nullptr;
  std::array<Peer, 8> replicas_{};
  std::map<bus::ClientId, Peer> clients_;
  std::uint64_t replicas_lost_ = 0;
  std::size_t handling_ = 0;  // fibers inside a handler
};

}  // namespace twinwire::laws
