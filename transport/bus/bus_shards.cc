// SPDX-License-Identifier: Apache-2.0
// What a bus does as one of several, each on its own shard of a node. How they reach each other: shard_router.cc.
#include <utility>

#include "transport/base/check.h"
#include "transport/base/plant.h"
#include "transport/base/sometimes.h"
#include "transport/bus/bus.h"

namespace twinwire::bus {

// --- Sending -------------------------------------------------------------------------------------------------------

// To the shard that has the connection now. Where that is this one, it is just lost.
Result<void> Bus::send_elsewhere(ReplicaId to, Message& message) noexcept {
  TWINWIRE_CHECK(!message.empty(), "there is no message to send");
  if (stopping_) return Errc::shutting_down;
  const OwnerClaim owner = owners_->owner(to);
  if (!owner || owner.shard() == options_.shard) return Errc::not_connected;
  if (forwarder_ == nullptr) return Errc::unreachable;
  return forwarder_->forward(to, owner, message);
}

Result<void> Bus::deliver_forwarded(ClientId to, Message& message) noexcept {
  return queue_forwarded(clients_.find(to), message);
}

Result<void> Bus::deliver_forwarded(ReplicaId to, OwnerClaim claim, Message& message) noexcept {
  Connection* const connection = replicas_.find(to);
  const bool the_one = connection != nullptr && connection->claim == claim;
  return queue_forwarded(the_one || PLANT(bus_forward_to_newer) ? connection : nullptr, message);
}

Result<void> Bus::queue_forwarded(Connection* connection, Message& message) noexcept {
  TWINWIRE_CHECK(!message.empty(), "there is no message to send");
  if (forwards_over_ || (stopping_ && forwarder_ == nullptr) ||
      (stopping_ && PLANT(bus_forwards_lost_when_stopping)))
    return Errc::shutting_down;
  if (PLANT(bus_forward_never_arrives)) return Errc::not_connected;
  if (connection == nullptr) scheduler_->reached(Sometimes::bus_forward_met_loss);
  return queue_now(connection, message);
}

// --- Connecting ----------------------------------------------------------------------------------------------------

// False, and counted, where the node has a connection to that replica.
bool Bus::claim(Connection& connection) noexcept {
  if (owners_ == nullptr || connection.id().plane != Plane::replicas) return true;
  const ReplicaId id = connection.id().replica;
  connection.claim = owners_->claim(id, options_.shard);
  if (connection.claim) return true;
  ++counters_.duplicates;
  scheduler_->reached(Sometimes::bus_duplicate_rejected);
  if (!is_connected(id)) {
    ++counters_.claimed_elsewhere;
    scheduler_->reached(Sometimes::bus_claimed_elsewhere);
  }
  refuse(Plane::replicas, connection.peer(),
         is_connected(id) ? "connected already" : "connected to another shard", {Errc::refused, 0});
  return false;
}

void Bus::unclaim(Connection& connection) noexcept {
  if (owners_ != nullptr) owners_->release(connection.id().replica, connection.claim);
}

bool Bus::dials(ReplicaId id) const noexcept {
  return id % options_.shards == options_.shard || options_.shards == 1 ||
         PLANT(bus_every_shard_dials);
}

Result<void> Bus::adopt(std::unique_ptr<Link> link, const Address& peer) {
  if (stopping_) return Errc::shutting_down;
  const auto fiber = client_fibers_.try_spawn(
      "bus.client", [this, own = std::move(link), peer] { serve_client(*own, peer); });
  if (!fiber) return fiber.error();
  return {};
}

// --- The end -------------------------------------------------------------------------------------------------------

// Another one may have begun later, and drains for as long as it may.
void Bus::await_shards(ShutdownPhase phase) {
  if (forwarder_ != nullptr)
    forwarder_->await_all(phase, {scheduler_->now() + 2 * options_.drain_limit});
}

}  // namespace twinwire::bus
