// SPDX-License-Identifier: Apache-2.0
// Who comes to us: the accept loops, and the way of a newcomer to its place.
#include <algorithm>

#include "transport/base/plant.h"
#include "transport/base/sometimes.h"
#include "transport/bus/bus.h"

namespace twinwire::bus {
namespace {

constexpr Duration shortage_pause_first = std::chrono::milliseconds(5);
constexpr Duration shortage_pause_max = std::chrono::seconds(1);

}  // namespace

Result<void> Bus::open(std::unique_ptr<Door<Link>> door) {
  if (stopping_) return Errc::shutting_down;
  const auto fiber =
      accepting_.try_spawn("bus.accept", [this, door = std::move(door)] { accept_clients(*door); });
  if (!fiber) return fiber.error();
  return {};
}

Result<void> Bus::open(std::unique_ptr<Door<ReplicaLink>> door) {
  if (stopping_) return Errc::shutting_down;
  const auto fiber = accepting_.try_spawn(
      "bus.accept", [this, door = std::move(door)] { accept_replicas(*door); });
  if (!fiber) return fiber.error();
  return {};
}

void Bus::accept_clients(Door<Link>& door) {
  Duration pause{0};
  for (;;) {
    auto newcomer = door.accept(Deadline::never());
    if (!newcomer) {
      if (!goes_on_after(Plane::clients, newcomer.error(), pause)) return;
      continue;
    }
    pause = Duration::zero();
    const auto fiber = client_fibers_.try_spawn(
        "bus.client", [this, link = std::move(newcomer->first), peer = newcomer->second] {
          serve_client(*link, peer);
        });
    if (!fiber && !goes_on_after(Plane::clients, fiber.error(), pause)) return;
  }
}

void Bus::accept_replicas(Door<ReplicaLink>& door) {
  Duration pause{0};
  for (;;) {
    auto newcomer = door.accept(Deadline::never());
    if (!newcomer) {
      if (!goes_on_after(Plane::replicas, newcomer.error(), pause)) return;
      continue;
    }
    pause = Duration::zero();
    if (PLANT(bus_handshake_in_accept_loop)) {
      receive_replica(*newcomer->first, newcomer->second);
      continue;
    }
    const auto fiber = replica_fibers_.try_spawn(
        "bus.replica", [this, link = std::move(newcomer->first), peer = newcomer->second] {
          receive_replica(*link, peer);
        });
    if (!fiber && !goes_on_after(Plane::replicas, fiber.error(), pause)) return;
  }
}

// One connection's failure costs nothing. A shortage of descriptors, memory or fibers is waited out.
bool Bus::goes_on_after(Plane plane, Error error, Duration& pause) {
  if (error == Errc::canceled || error == Errc::shutting_down) return false;
  ++counters_.accept_errors;
  refuse(plane, {}, "could not be accepted", error);
  if (PLANT(bus_accept_error_ends_plane)) return false;
  if (error != Errc::no_resources) return true;
  pause = std::clamp(2 * pause, shortage_pause_first, shortage_pause_max);
  return !token_.wait({scheduler_->now() + pause}, "descriptors").has_value() &&
         !scheduler_->cancel_pending();
}

void Bus::serve_client(Link& link, const Address& peer) {
  if (PLANT(bus_client_id_reused)) client_sequence_ = clients_.size();
  serve(link, PeerId::of(ClientId::of(options_.shard, ++client_sequence_)), peer);
}

// It has come, and has to prove who it is before it is anybody.
void Bus::receive_replica(ReplicaLink& link, const Address& peer) {
  if (stopping_)
    return;  // the trigger came before this fiber's first step, and saw nobody in the gate
  Result<ReplicaId> proven = Errc::canceled;
  {
    const HandshakeGate::Pass inside(handshakes_);
    counters_.evicted = handshakes_.evicted();
    const Deadline limit = PLANT(bus_handshake_without_limit)
                               ? Deadline::never()
                               : network_->clock().in(options_.handshake_limit);
    proven = link.authenticate_acceptor(*network_, limit);
  }
  if (scheduler_->cancel_pending()) proven = Errc::canceled;
  if (!proven) {
    ++counters_.unauthenticated;
    refuse(Plane::replicas, peer, "has not proven who it is", proven.error());
    if (!PLANT(bus_unauthenticated_is_served) || options_.replica == 0) return;
    proven = static_cast<ReplicaId>(options_.replica - 1);
  }
  // Of two nodes the one with the lower id dials: so there is one connection, though both listen.
  if (!members_.test(*proven) || *proven >= options_.replica) {
    ++counters_.unexpected;
    return refuse(Plane::replicas, peer, "is nobody who may dial us", {Errc::refused, 0});
  }
  serve(link, PeerId::of(*proven), peer);
}

// From the place in the tables to the last fiber's end.
void Bus::serve(Link& link, PeerId id, const Address& peer) {
  Connection connection(*this, link, id, peer);
  if (!enroll(connection)) return;
  std::size_t& alive = id.plane == Plane::replicas ? replicas_alive_ : clients_alive_;
  ++alive;
  ++alive_;
  connection.serve();
  --alive_;
  --alive;
  counters_.lost += connection.unsent();
  if (connection.draining) ++(connection.ended_well() ? outcome_.clean : outcome_.forced);
  ended_.wake_all(*scheduler_);
}

}  // namespace twinwire::bus
