// SPDX-License-Identifier: Apache-2.0
#include "transport/bus/bus.h"

#include <array>
#include <cstdio>
#include <new>

#include "transport/base/check.h"
#include "transport/base/plant.h"
#include "transport/base/sometimes.h"

namespace twinwire::bus {
namespace {

bool is_heartbeat(const Message& message) noexcept {
  return message.header().command() == Command::reserved;
}

}  // namespace

Result<std::unique_ptr<Bus>> Bus::create(Network& network, const BusOptions& options,
                                         BusHandler& handler, std::string_view* why) {
  const std::string_view problem = problem_with(options);
  if (why != nullptr) *why = problem;
  if (!problem.empty()) return Errc::invalid;
  auto heartbeat = MutableMessage::create(network.buffers(), Command::reserved, 0);
  if (!heartbeat) return heartbeat.error();
  heartbeat->set_replica(options.replica);
  try {
    return std::unique_ptr<Bus>(new Bus(network, options, handler, std::move(*heartbeat).freeze()));
  } catch (const std::bad_alloc&) {
    return Errc::no_resources;
  }
}

Bus::Bus(Network& network, const BusOptions& options, BusHandler& handler, Message heartbeat)
    : network_(&network),
      scheduler_(&network.scheduler()),
      options_(options),
      handler_(&handler),
      heartbeat_(std::move(heartbeat)),
      handshakes_(*scheduler_, options.handshakes_max),
      dials_(*scheduler_, replicas_max),
      token_(*scheduler_),
      listening_(*scheduler_),
      accepting_(*scheduler_),
      client_fibers_(*scheduler_),
      replica_fibers_(*scheduler_),
      background_(*scheduler_) {
  for (const ReplicaId id : options.members) members_.set(id);
  members_.reset(options.replica);
}

// --- Sending -------------------------------------------------------------------------------------------------------

Result<void> Bus::send_to_client(ClientId to, Message& message) noexcept {
  if (to.shard() == options_.shard) return queue(clients_.find(to), message);
  TWINWIRE_CHECK(!message.empty(), "there is no message to send");
  if (stopping_) return Errc::shutting_down;
  if (forwarder_ == nullptr) return Errc::unreachable;
  return forwarder_->forward(to, message);
}

Result<void> Bus::send_to_replica(ReplicaId to, Message& message) noexcept {
  if (!members_.test(to)) return Errc::unreachable;
  Connection* const here = replicas_.find(to);
  if (here == nullptr && owners_ != nullptr) return send_elsewhere(to, message);
  return queue(here, message);
}

Result<void> Bus::queue(Connection* connection, Message& message) noexcept {
  TWINWIRE_CHECK(!message.empty(), "there is no message to send");
  if (stopping_ && !PLANT(bus_takes_when_stopping)) return Errc::shutting_down;
  return queue_now(connection, message);
}

// What follows is in connection.cc: the writer wakes, and hands the queue to send_batch.
Result<void> Bus::queue_now(Connection* connection, Message& message) noexcept {
  if (connection == nullptr) return Errc::not_connected;
  const Result<void> queued = connection->queue(message);
  if (queued) {
    ++counters_.queued;
    return {};
  }
  ++counters_.backpressure;
  scheduler_->reached(Sometimes::bus_backpressure);
  if (PLANT(bus_send_waits_for_room)) scheduler_->yield();
  if (PLANT(bus_full_queue_drops) || PLANT(bus_refusal_takes_message)) {
    message = Message();
    if (PLANT(bus_full_queue_drops)) return {};
  }
  return queued;
}

void Bus::disconnect(ClientId id) noexcept {
  if (Connection* connection = clients_.find(id)) connection->disconnect();
}

void Bus::disconnect(ReplicaId id) noexcept {
  if (Connection* connection = replicas_.find(id)) connection->disconnect();
}

// --- A connection's place, from the first to the last --------------------------------------------------------------

// False, and counted, where it has none: the bus stops, there is one already, or no memory.
bool Bus::enroll(Connection& connection) noexcept {
  const PeerId& id = connection.id();
  if (stopping_) return false;
  if (!connection.prepare()) {
    refuse(id.plane, connection.peer(), "no memory for its queue", {Errc::no_resources, 0});
    return false;
  }
  if (!claim(connection)) return PLANT(bus_duplicate_is_served);
  connection.token = ++tokens_;
  const Result<bool> inserted = id.plane == Plane::replicas
                                    ? replicas_.insert(id.replica, connection, connection.token)
                                    : clients_.insert(id.client, connection, connection.token);
  if (!inserted || !*inserted) unclaim(connection);
  if (!inserted) {
    refuse(id.plane, connection.peer(), "no memory for its place", inserted.error());
    return false;
  }
  if (!*inserted) {
    ++counters_.duplicates;
    scheduler_->reached(Sometimes::bus_duplicate_rejected);
    refuse(id.plane, connection.peer(), "connected already", {Errc::refused, 0});
    if (PLANT(bus_duplicate_wins)) disconnect(id.replica);
    return PLANT(bus_duplicate_is_served);
  }
  ++counters_.connected;
  if (id.plane == Plane::replicas)
    handler_->on_replica_connected(id.replica);
  else
    handler_->on_client_connected(id.client, connection.peer());
  return true;
}

bool Bus::remove(Connection& connection) noexcept {
  const PeerId& id = connection.id();
  if (id.plane == Plane::clients) return clients_.remove(id.client, connection.token);
  if (PLANT(bus_stale_eviction))
    return replicas_.remove(id.replica, replicas_.token_of(id.replica));
  return replicas_.remove(id.replica, connection.token);
}

// Both fibers of a connection come here, and perhaps long after a newer one of that peer has begun. The first frees
// the place and tells the application.
void Bus::leave(Connection& connection, Error why) noexcept {
  const bool newer = connection.id().plane == Plane::replicas && !is_enrolled(connection) &&
                     is_connected(connection.id().replica);
  if (newer) scheduler_->reached(Sometimes::bus_late_cleanup);
  if (remove(connection) || PLANT(bus_double_notify)) tell_lost(connection, why);
  // Behind that, or another shard might be told that it is connected before this one that it is lost. Of two that come
  // here the later finds that the claim is another's, or nobody's.
  if (!PLANT(bus_owner_not_cleared)) unclaim(connection);
}

void Bus::tell_lost(const Connection& connection, Error why) noexcept {
  ++counters_.ended;
  if (connection.draining) why = {Errc::shutting_down, 0};
  const PeerId& id = connection.id();
  if (id.plane == Plane::replicas)
    handler_->on_replica_lost(id.replica, why);
  else
    handler_->on_client_lost(id.client, why);
}

bool Bus::is_enrolled(const Connection& connection) const noexcept {
  const PeerId& id = connection.id();
  return connection.token == (id.plane == Plane::replicas ? replicas_.token_of(id.replica)
                                                          : clients_.token_of(id.client));
}

// False: the connection has lost its place, and nothing more of it is handed out. Heartbeats end here.
bool Bus::deliver(Connection& connection, std::span<const Message> messages) {
  const bool may_beat =
      connection.id().plane == Plane::replicas && !PLANT(bus_heartbeat_is_message);
  const bool served_all_the_same = PLANT(bus_duplicate_is_served) || PLANT(bus_delivers_after_loss);
  while (!messages.empty()) {
    std::size_t n = 0;
    while (n < messages.size() && !(may_beat && is_heartbeat(messages[n]))) ++n;
    if (!is_enrolled(connection) && !served_all_the_same) return false;
    if (n != 0) hand_over(connection.id(), messages.first(n));
    messages = messages.subspan(n == messages.size() ? n : n + 1);
  }
  return true;
}

void Bus::hand_over(const PeerId& from, std::span<const Message> messages) {
  struct Handling {
    explicit Handling(std::size_t& n) noexcept : count(n) { ++count; }
    ~Handling() { --count; }
    std::size_t& count;
  };
  while (PLANT(bus_handlers_take_turns) && handling_ != 0)
    if (!scheduler_->sleep_for(std::chrono::milliseconds(1))) break;
  const Handling inside(handling_);
  counters_.received += messages.size();
  if (from.plane == Plane::replicas)
    handler_->on_replica_messages(from.replica, messages);
  else
    handler_->on_client_messages(from.client, messages);
}

void Bus::refused_by_transport(Plane plane, std::string_view why, const Address& peer) noexcept {
  ++counters_.refused_by_transport;
  std::array<char, 256> what;
  std::snprintf(what.data(), what.size(), "was turned away: %.*s", static_cast<int>(why.size()),
                why.data());
  refuse(plane, peer, what.data(), {Errc::handshake, 0});
}

void Bus::refuse(Plane plane, const Address& peer, std::string_view what, Error why) noexcept {
  handler_->on_peer_refused(plane, peer, what, why);
}

}  // namespace twinwire::bus
