// SPDX-License-Identifier: Apache-2.0
// Connection: one connection of a peer, with its queue and its two fibers. One reads and calls the handler, one writes;
// whichever ends first ends the other. Private to transport/bus/.
//
// The path of a message: Bus::send_to_client (bus.cc) -> queue() -> write_all() -> Link::send_batch.
#pragma once

#include <cstddef>

#include "transport/bus/link.h"
#include "transport/bus/outbox.h"
#include "transport/bus/owner_table.h"
#include "transport/bus/peer_tables.h"
#include "transport/fiber/wait_queue.h"
#include "transport/net/address.h"

namespace twinwire::bus {

class Bus;

class Connection {
 public:
  // Both are borrowed. Lies on the stack of the fiber that serves it.
  Connection(Bus& bus, Link& link, PeerId id, const Address& peer) noexcept;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Takes all the memory that sending and reading need. False: there is none.
  [[nodiscard]] bool prepare() noexcept;

  // Reads, and sends what is queued, until the connection is over. It has its place in the tables.
  void serve();

  // Queues a message, and wakes the writer. Never suspends.
  // Errors     backpressure; `message` is as it was
  Result<void> queue(Message& message) noexcept;

  // Sends what is queued, and then ends the connection gracefully, within that time.
  void finish(Deadline by) noexcept;
  // Ends it at once: whatever its writer waits for is canceled, and the rest follows.
  void disconnect() noexcept;

  const PeerId& id() const noexcept { return id_; }
  const Address& peer() const noexcept { return peer_; }
  Token token = 0;        // of its place in the tables
  OwnerClaim claim;       // of its place among the shards, of a replica where there are several
  bool draining = false;  // by a shutdown
  // It took what was queued and said good-bye.
  bool ended_well() const noexcept { return ended_well_; }
  // What was queued and never sent.
  std::size_t unsent() const noexcept { return outbox_.size() + batch_.size(); }

 private:
  void read_until_end();
  Error read_all();
  void write_until_end();
  Result<void> write_all();
  Result<void> send_some();
  bool is_replica() const noexcept { return id_.plane == Plane::replicas; }
  Deadline in(Duration d) noexcept;

  Bus* bus_;
  Link* link_;
  Scheduler* scheduler_;
  PeerId id_;
  Address peer_;
  Outbox outbox_;
  Batch batch_;     // what is being sent
  Batch inbox_;     // what was read
  WaitQueue news_;  // the writer, while it has nothing to do
  FiberHandle writer_;
  bool doomed_ = false;
  bool finishing_ = false;
  Deadline finish_by_;
  bool ended_well_ = false;
};

}  // namespace twinwire::bus
