// SPDX-License-Identifier: Apache-2.0
// Forwarder: the way from a bus to the other shards of its node, for messages to peers whose connection is there.
// ShardRouter (shard_router.h) is one.
#pragma once

#include <cstdint>

#include "transport/base/error.h"
#include "transport/base/time.h"
#include "transport/bus/ids.h"
#include "transport/bus/owner_table.h"
#include "transport/wire/message.h"

namespace twinwire::bus {

// How far the shutdown of a shard has come; each follows the one before.
enum class ShutdownPhase : std::uint8_t {
  none,
  sends_over,        // it sends nothing new
  clients_drained,   // none of its clients is left
  replicas_drained,  // and no replica
};

class Forwarder {
 public:
  // Takes a message for a client of another shard; there it comes to Bus::deliver_forwarded, which forwards no further.
  //
  // Promise    Success: `message` is empty. Failure: it is whole, and still the caller's.
  // Suspends   Never.
  // Errors     backpressure (the queue to that shard is full) · unreachable (there is no such shard) · shutting_down ·
  //            no_resources
  virtual Result<void> forward(ClientId to, Message& message) noexcept = 0;
  // The same to a replica, for the connection that `seen` is the claim of, and for no later one.
  virtual Result<void> forward(ReplicaId /*to*/, OwnerClaim /*seen*/,
                               Message& /*message*/) noexcept {
    return Errc::unreachable;
  }

  // This shard has come so far with its shutdown. Returns once all others have, or the time is up.
  virtual void await_all(ShutdownPhase /*phase*/, Deadline /*deadline*/) {}
  // The bus is shut down: nothing may come to it any more.
  virtual void end() {}

 protected:
  ~Forwarder() = default;
};

}  // namespace twinwire::bus
