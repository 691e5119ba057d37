// SPDX-License-Identifier: Apache-2.0
// Runs a datagram script on sockets of the seam. Those of the kernel stand behind the same seam, made of plain system
// calls (kernel_datagram.h): the truth does not depend on real/.
#pragma once

#include <functional>
#include <memory>

#include "props/oracle/datagram_outcome.h"
#include "props/oracle/private_network.h"
#include "transport/net/network.h"

namespace twinwire::oracle {

// Where a script runs.
class DatagramGround {
 public:
  virtual ~DatagramGround() = default;
  virtual Places places(unsigned host) const = 0;
  // Of the ports that scripts number: the first. Two hosts that are one kernel have different ones.
  virtual std::uint16_t ports(unsigned host) const = 0;
  virtual Result<std::unique_ptr<DatagramSocket>> bind(unsigned host, const Address& address,
                                                       const DatagramOptions& options) = 0;
  virtual void hop() = 0;
  virtual void settle() = 0;
  virtual Deadline moment() = 0;  // that of a call which should not wait
  virtual Deadline past() = 0;

  // Somebody who calls `receive` while the script goes on, until it says that it is done. It is given the deadline of
  // its calls.
  using Receive = std::function<bool(Deadline)>;
  virtual void begin(std::size_t socket, Receive receive) = 0;
  virtual void stop(std::size_t socket) = 0;
  virtual void let_waiting_go_on() = 0;
};

DatagramOutcomes run_datagrams(const DatagramScript& script, DatagramGround& ground);

DatagramOutcomes run_datagrams_on_wire(const DatagramScript& script, HeldWire& wire);
DatagramOutcomes run_datagrams_on_loopback(const DatagramScript& script);
DatagramOutcomes run_datagrams_in_world(const DatagramScript& script);
DatagramOutcomes run_datagrams_on_ring(const DatagramScript& script);  // requires one_host

}  // namespace twinwire::oracle
