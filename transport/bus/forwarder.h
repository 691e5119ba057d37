// SPDX-License-Identifier: Apache-2.0
// Forwarder: the way to another shard, for messages to clients whose connection is there.
#pragma once

#include "transport/base/error.h"
#include "transport/bus/ids.h"
#include "transport/wire/message.h"

namespace twinwire::bus {

class Forwarder {
 public:
  // Takes a message for a client of another shard; there it comes to Bus::deliver_forwarded, which forwards no further.
  //
  // Promise    Success: `message` is empty. Failure: it is whole, and still the caller's.
  // Suspends   Never.
  // Errors     backpressure (the queue to that shard is full) · unreachable (there is no such shard) · shutting_down
  virtual Result<void> forward(ClientId to, Message& message) noexcept = 0;

 protected:
  ~Forwarder() = default;
};

}  // namespace twinwire::bus
