// SPDX-License-Identifier: Apache-2.0
// Bus: peers and clients by id, above any transport. Start here.
//
//   auto made = Bus::create(network, options, handler);
//   Bus& bus = **made;
//   open_client_plane<Wss>(bus, address, wss_options);               // planes.h; any number of them
//   open_replica_plane<Tls>(bus, own_address, tls_options, authenticator);
//   join_mesh<Tls>(bus, members, tls_options, authenticator);
//   bus.send_to_client(id, message);                                  // from any fiber; never suspends
//   ...
//   const ShutdownOutcome outcome = bus.shut_down();                  // always, before it is destroyed
//
// Where to read on: the path of a message is bus.cc -> connection.cc -> link.h; who connects is in bus_accept.cc and
// bus_mesh.cc, the end in bus_shutdown.cc, several shards in shard_router.h. The contract, and every knob: docs/bus.md.
#pragma once

#include <bitset>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "transport/bus/bus_counters.h"
#include "transport/bus/bus_handler.h"
#include "transport/bus/bus_options.h"
#include "transport/bus/connection.h"
#include "transport/bus/door.h"
#include "transport/bus/forwarder.h"
#include "transport/bus/handshake_gate.h"
#include "transport/bus/owner_table.h"
#include "transport/bus/peer_tables.h"
#include "transport/fiber/scope.h"
#include "transport/net/network.h"

namespace twinwire::bus {

class Bus {
 public:
  // Network and handler are borrowed, and outlive it. Inside a fiber: its own fibers are named under that one.
  // Errors     invalid (an option; `why`, where given, says it in a sentence) · no_resources
  static Result<std::unique_ptr<Bus>> create(Network& network, const BusOptions& options,
                                             BusHandler& handler, std::string_view* why = nullptr);
  Bus(const Bus&) = delete;
  Bus& operator=(const Bus&) = delete;
  // Aborts unless shut_down() has returned: a destructor must not suspend.
  ~Bus() = default;

  // --- Sending -------------------------------------------------------------------------------------------------------

  // Queues `message` for that peer.
  //
  // Promise    Success: it is queued behind what was queued before, and `message` is empty. Not: it was sent, or will
  //            be. It is lost where the connection ends before its turn; the peer's *_lost tells that, counters().lost
  //            counts it, and nobody sends it again. What a connection's peer gets is a prefix of what was queued.
  //            Failure: nothing was queued; `message` is whole, and still the caller's.
  //            A peer that takes nothing fills its own queue, and delays no other.
  // Requires   A message that is not empty; to a replica, one whose command is not Reserved (those are heartbeats).
  // Memory     No allocation and no copy: the queue was allocated with the connection. To a peer of another shard the
  //            first allocates that is lent while more are lent than ever before: a block of about 100 bytes, which
  //            is kept and serves again.
  // Suspends   Never, on no path.
  // Errors     backpressure (its queue is full) · not_connected · unreachable (there is no route: a replica that is
  //            no member; a client of a shard to which no forwarder leads) · shutting_down; those of the forwarder
  Result<void> send_to_client(ClientId to, Message& message) noexcept;
  Result<void> send_to_client(ClientId to, Message&& m) noexcept { return send_to_client(to, m); }
  Result<void> send_to_replica(ReplicaId to, Message& message) noexcept;
  Result<void> send_to_replica(ReplicaId to, Message&& m) noexcept {
    return send_to_replica(to, m);
  }

  bool is_connected(ReplicaId id) const noexcept { return replicas_.find(id) != nullptr; }
  bool is_connected(ClientId id) const noexcept { return clients_.find(id) != nullptr; }

  // Drops a connection. Its *_lost comes soon, from its own fibers. Nothing where there is none. Never suspends.
  void disconnect(ClientId id) noexcept;
  void disconnect(ReplicaId id) noexcept;

  // --- Where a node has several shards: what ShardRouter (shard_router.h) does with it, bus_shards.cc ---------------

  // What another shard's Forwarder brought: for a client here, or for nobody. It is never forwarded again. A shutdown
  // takes it as long as others may have sent it before they knew.
  // Errors     as send_to_client; not_connected, too, where the client is of another shard
  Result<void> deliver_forwarded(ClientId to, Message& message) noexcept;
  // The same for that connection of a replica, and for no other one of it.
  Result<void> deliver_forwarded(ReplicaId to, OwnerClaim claim, Message& message) noexcept;
  // What this shard forwarded came back: for the handler.
  void forward_refused(const PeerId& to, Message message, Error why) noexcept {
    handler_->on_forward_refused(to, std::move(message), why);
  }
  // Borrowed, before planes are opened; nullptr: there are no other shards.
  void forward_by(Forwarder* forwarder) noexcept { forwarder_ = forwarder; }
  void owned_by(OwnerTable* owners) noexcept { owners_ = owners; }
  // Which connection to that replica the node has, on whichever shard; none where it has none.
  // Requires   owned_by()
  OwnerClaim owner_of(ReplicaId id) const noexcept { return owners_->owner(id); }
  // Serves a client whose connection was accepted elsewhere.
  // Errors     no_resources · shutting_down; then it is dropped
  Result<void> adopt(std::unique_ptr<Link> link, const Address& peer);

  // --- Connecting: see planes.h, which makes doors and dialers of a transport ----------------------------------------

  // Accepts from there until the shutdown.
  // Errors     no_resources · shutting_down
  Result<void> open(std::unique_ptr<Door<Link>> door);
  Result<void> open(std::unique_ptr<Door<ReplicaLink>> door);
  // Keeps a connection to every member with a higher id; those with a lower one dial us.
  // Errors     no_resources · shutting_down
  Result<void> join(std::unique_ptr<Dialer> dialer, std::span<const Member> members);
  // A listener turned somebody away in its own handshake: for the log, and counted.
  void refused_by_transport(Plane plane, std::string_view why, const Address& peer = {}) noexcept;
  // A client's connection could not be handed over, and is gone: for the log. The router counts it.
  void lost_between_shards(Error why) noexcept {
    refuse(Plane::clients, {}, "lost between two shards", why);
  }
  // Where listeners live: until all that they accepted is gone.
  Scope& listening() noexcept { return listening_; }

  // --- The end -------------------------------------------------------------------------------------------------------

  // From now on nothing new is sent, accepted or dialed. Does not suspend; shut_down() does the rest.
  void trigger_shutdown() noexcept;
  // Set by the trigger. Background work waits for it, to end in time.
  Event& shutdown_token() noexcept { return token_; }
  bool stopping() const noexcept { return stopping_; }

  // Runs `work` in a fiber of the bus, which the shutdown waits for last. It ends soon after the token is set.
  // Errors     no_resources · shutting_down
  template <class F>
  Result<void> spawn_background(std::string_view name, F&& work) {
    if (stopping_) return Errc::shutting_down;
    ++background_alive_;  // also while it is ready and has not run
    const auto fiber = background_.try_spawn(name, [this, work = std::forward<F>(work)]() mutable {
      try {
        work();
      } catch (...) {  // its failure is its own
      }
      background_ended();
    });
    if (fiber) return {};
    --background_alive_;
    return fiber.error();
  }

  // Triggers, then drains: clients, then replicas, then background work; all of a kind at once, and each kind within
  // drain_limit. What is queued is sent first, where the peer takes it; what does not end is dropped.
  //
  // Promise    Afterwards no fiber, connection or listener of this bus is left. A second call returns the same.
  //            Of several shards each is shut down (ShardRouter::shut_down_all): what one has forwarded is queued
  //            before clients are drained, and none drains its replicas before all have drained their clients.
  // Suspends   At most three times drain_limit; of several shards as long as the slowest, and six times drain_limit
  //            more where one does not come along. A fiber that was told to stop forces everything at once.
  ShutdownOutcome shut_down();

  const BusCounters& counters() const noexcept { return counters_; }
  std::size_t clients() const noexcept { return clients_.size(); }
  std::size_t replicas() const noexcept { return replicas_.size(); }
  // Fibers that serve a connection, those included that have lost their place and are on their way out.
  std::size_t connections_alive() const noexcept { return alive_; }
  std::size_t handshakes_unfinished() const noexcept { return handshakes_.inside(); }
  const BusOptions& options() const noexcept { return options_; }
  Network& network() noexcept { return *network_; }
  Scheduler& scheduler() noexcept { return *scheduler_; }

 private:
  friend class Connection;

  Bus(Network& network, const BusOptions& options, BusHandler& handler, Message heartbeat);

  // --- For connections -----------------------------------------------------------------------------------------------
  bool enroll(Connection& connection) noexcept;
  void leave(Connection& connection, Error why) noexcept;
  void tell_lost(const Connection& connection, Error why) noexcept;
  bool deliver(Connection& connection, std::span<const Message> messages);
  void hand_over(const PeerId& from, std::span<const Message> messages);
  bool is_enrolled(const Connection& connection) const noexcept;
  bool remove(Connection& connection) noexcept;
  BusCounters& tally() noexcept { return counters_; }
  Message heartbeat() const noexcept { return heartbeat_; }

  Result<void> queue(Connection* connection, Message& message) noexcept;
  Result<void> queue_now(Connection* connection, Message& message) noexcept;

  // --- bus_shards.cc -------------------------------------------------------------------------------------------------
  Result<void> send_elsewhere(ReplicaId to, Message& message) noexcept;
  Result<void> queue_forwarded(Connection* connection, Message& message) noexcept;
  bool claim(Connection& connection) noexcept;
  void unclaim(Connection& connection) noexcept;
  bool has_connection(ReplicaId id) const noexcept {
    return owners_ == nullptr ? is_connected(id) : bool(owners_->owner(id));
  }
  bool dials(ReplicaId id) const noexcept;
  void await_shards(ShutdownPhase phase);

  // --- bus_accept.cc -------------------------------------------------------------------------------------------------
  void accept_clients(Door<Link>& door);
  void accept_replicas(Door<ReplicaLink>& door);
  bool goes_on_after(Plane plane, Error error, Duration& pause);
  void serve_client(Link& link, const Address& peer);
  void receive_replica(ReplicaLink& link, const Address& peer);
  void serve(Link& link, PeerId id, const Address& peer);
  void refuse(Plane plane, const Address& peer, std::string_view what, Error why) noexcept;

  // --- bus_mesh.cc ---------------------------------------------------------------------------------------------------
  void keep_mesh(Dialer& dialer, std::span<const Member> members);
  void start_dial(Dialer& dialer, const Member& member);
  void dial(Dialer& dialer, const Member& member);
  Duration until_redial() noexcept;

  // --- bus_shutdown.cc -----------------------------------------------------------------------------------------------
  template <class Table>
  void drain(const Table& table, Scope& connections);
  void drain_background();
  void await_none(const std::size_t& count, Deadline deadline);
  void await_fewer(const std::size_t& count, Deadline deadline);
  void background_ended() noexcept;

  Network* network_;
  Scheduler* scheduler_;
  BusOptions options_;
  BusHandler* handler_;
  Forwarder* forwarder_ = nullptr;
  OwnerTable* owners_ = nullptr;
  const Message heartbeat_;
  std::bitset<replicas_max> members_;

  ReplicaTable replicas_;
  ClientTable clients_;
  Token tokens_ = 0;
  std::uint64_t client_sequence_ = 0;
  std::bitset<replicas_max> dialing_;
  HandshakeGate handshakes_;  // of replicas that have come
  HandshakeGate dials_;       // and to which we go

  bool stopping_ = false;
  bool forwards_over_ = false;  // other shards send nothing any more
  Event token_;
  WaitQueue ended_;           // the shutdown, until something has
  std::size_t writing_ = 0;   // fibers inside send_batch
  std::size_t handling_ = 0;  // fibers inside a handler
  std::size_t alive_ = 0;
  std::size_t clients_alive_ = 0;
  std::size_t replicas_alive_ = 0;
  std::size_t background_alive_ = 0;
  BusCounters counters_;
  ShutdownOutcome outcome_;
  bool shut_ = false;

  Scope listening_;
  Scope accepting_;
  Scope client_fibers_;
  Scope replica_fibers_;
  Scope background_;
};

}  // namespace twinwire::bus
