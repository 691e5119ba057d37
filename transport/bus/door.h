// SPDX-License-Identifier: Apache-2.0
// Door and Dialer: where connections come from, whatever the transport. Made by planes.h.
#pragma once

#include <memory>
#include <utility>

#include "transport/bus/link.h"
#include "transport/net/address.h"

namespace twinwire::bus {

// A listener of connections of kind L: Link on the client plane, ReplicaLink on that of replicas.
template <class L>
class Door {
 public:
  // Stops listening.
  virtual ~Door() = default;
  // The next connection whose transport's handshake is done.
  // Errors     as the listener's accept
  virtual Result<std::pair<std::unique_ptr<L>, Address>> accept(Deadline deadline) = 0;
};

class Dialer {
 public:
  virtual ~Dialer() = default;
  // Errors     as the transport's dial
  virtual Result<std::unique_ptr<ReplicaLink>> dial(Network& network, const Address& address,
                                                    Deadline deadline) = 0;
};

// A replica, and where it listens.
struct Member {
  ReplicaId id = 0;
  Address address;
};

}  // namespace twinwire::bus
