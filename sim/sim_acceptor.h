// SPDX-License-Identifier: Apache-2.0
// SimAcceptor: a listening socket of a simulated node, and its backlog.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sim/connection.h"
#include "sim/ring_buffer.h"
#include "sim/world.h"
#include "transport/fiber/wait_queue.h"
#include "transport/net/byte_stream.h"
#include "transport/net/network.h"

namespace twinwire::sim {

class SimNetwork;

class SimAcceptor final : public Acceptor {
 public:
  // `bound`: as asked for; a port without an address is told with the node's.
  SimAcceptor(SimNetwork& network, std::uint64_t serial, const Address& bound,
              const ListenOptions& options, int backlog_asked);
  ~SimAcceptor() override;

  Result<std::unique_ptr<ByteStream>> accept(Deadline deadline) override;
  Address local() const noexcept override { return local_; }

  // --- For connects ------------------------------------------------------------------------------------------------

  std::uint64_t serial() const noexcept { return serial_; }
  const Address& bound() const noexcept { return bound_; }
  const ListenOptions& options() const noexcept { return options_; }
  // Linux lets one more in than listen(2) asked for.
  bool full() const noexcept { return filled() > options_.backlog; }
  int filled() const noexcept { return static_cast<int>(backlog_.size() + opening_); }
  // A connection that is being opened has its place from its SYN on.
  void reserve() noexcept { ++opening_; }
  void unreserve() noexcept { --opening_; }
  void enqueue(Connection& connection);
  // A SYN met a full backlog: counted, where it is full only because it is short.
  void dropped_one() noexcept;
  // Its node is down: from now on every call is `canceled`. Those that wait are reset, or vanish with the power.
  void sever(bool power);
  // The world is gone.
  void forget() noexcept { network_ = nullptr; }

 private:
  SimNetwork* network_;  // nullptr: severed
  std::uint64_t serial_;
  Address bound_;
  Address local_;
  ListenOptions options_;
  int backlog_asked_;
  RingBuffer<Connection*> backlog_;
  std::size_t opening_ = 0;
  WaitQueue waiters_;
};

}  // namespace twinwire::sim
