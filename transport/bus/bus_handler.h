// SPDX-License-Identifier: Apache-2.0
// BusHandler: what an application does with what the bus brings it. Each call is about one connection.
#pragma once

#include <span>
#include <string_view>

#include "transport/base/error.h"
#include "transport/bus/ids.h"
#include "transport/net/address.h"
#include "transport/wire/message.h"

namespace twinwire::bus {

class BusHandler {
 public:
  // What arrived together from that peer, in order; of one connection in the order in which the peer sent it, and
  // between its *_connected and its *_lost. A message that is copied lives on.
  //
  // Suspends   It may. It runs in the fiber that reads that connection: nothing more is read from that peer meanwhile,
  //            and nobody else waits. It obeys cancellation. That peer's *_lost may come while it is suspended.
  // Errors     An exception that leaves it ends that connection, and nothing else; counted in handler_failures.
  virtual void on_client_messages(ClientId from, std::span<const Message> messages) = 0;
  virtual void on_replica_messages(ReplicaId from, std::span<const Message> messages) = 0;

  // The connection is up, and may be sent to. Each is followed by one *_lost. None of these suspends.
  virtual void on_client_connected(ClientId, const Address& /*peer*/) noexcept {}
  virtual void on_replica_connected(ReplicaId) noexcept {}

  // The connection is gone, and its place is free; exactly once a connection. What was queued for it is lost, unless
  // `why` is `closed` or `shutting_down`: then the bus still tries to hand it over.
  virtual void on_client_lost(ClientId, Error /*why*/) noexcept {}
  virtual void on_replica_lost(ReplicaId, Error /*why*/) noexcept {}

  // A message that this shard sent to a peer of another one, and that was taken, could not be queued over there: it was
  // for a connection that is gone (not_connected), its queue was full (backpressure), or it is being shut down. Told in
  // the order of sending for each peer; `message` is whole, and may be sent again. Does not suspend.
  virtual void on_forward_refused(const PeerId& /*to*/, Message /*message*/,
                                  Error /*why*/) noexcept {}

  // For the log: what did not become a connection, and why. `peer`: who came, or who was dialed; all zero where nobody
  // can tell. Peers choose how often: whoever prints must bound it.
  virtual void on_peer_refused(Plane plane, const Address& /*peer*/, std::string_view what,
                               Error why) noexcept {
    on_refused(plane, what, why);
  }
  // The same for who does not care which peer it was.
  virtual void on_refused(Plane, std::string_view /*what*/, Error) noexcept {}

 protected:
  ~BusHandler() = default;
};

}  // namespace twinwire::bus
