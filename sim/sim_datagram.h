// SPDX-License-Identifier: Apache-2.0
// SimDatagram: a UDP socket of a simulated node. Datagrams travel one by one: lost, doubled, overtaken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/realm.h"
#include "sim/ring_buffer.h"
#include "sim/world.h"
#include "transport/fiber/wait_queue.h"
#include "transport/net/datagram_socket.h"
#include "transport/net/network.h"

namespace twinwire::sim {

class Fabric;
class SimNetwork;

// One datagram on its way: an event of its own, since datagrams overtake each other. Reused by the Fabric.
class FlyingDatagram final : public EventSource {
 public:
  explicit FlyingDatagram(Fabric& fabric) noexcept : fabric_(&fabric) {}
  void fire() override;
  // Lets go of the bytes and of its place in the World's heap.
  void drop() noexcept;

  World* world = nullptr;
  Block* block = nullptr;  // one reference
  std::uint32_t begin = 0;
  std::uint32_t size = 0;
  Spot from;
  Spot to;
  Ecn ecn = Ecn::not_ect;
  EntityId pair = 0;
  // What was drawn for it: it bites only where somebody would have received it.
  Site fault = Site::wake_order;  // that destroys or changes it; wake_order: none
  bool counts = true;             // as bit: of what lasts, the first alone
  bool lost = false;
  bool delayed = false;
  bool duplicate = false;
  std::uint64_t nth = 0;  // of its pair
  FlyingDatagram* next_made = nullptr;
  FlyingDatagram* next_idle = nullptr;

 private:
  Fabric* fabric_;
};

class SimDatagram final : public DatagramSocket {
 public:
  static constexpr std::size_t payload_max = 65'507;      // 65,535 less the IP and UDP headers
  static constexpr std::size_t payload_max6 = 65'527;     // IPv6 does not count its own
  static constexpr std::size_t receive_buffer = 212'992;  // net.core.rmem_default
  static constexpr std::size_t batch_max = 64;            // of one receive()
  static constexpr std::size_t short_queue_least =
      16 * 1024;  // holds the first flight of a QUIC connection
  static constexpr std::size_t short_queue_step = 512;

  // `bound`: as asked for; a port without an address is told with the node's.
  SimDatagram(SimNetwork& network, Fabric& fabric, EntityId entity, const Address& bound,
              const DatagramOptions& options);
  ~SimDatagram() override;

  // Never suspends: the simulated interface takes what it is given. A datagram to where nobody is bound vanishes, as
  // Linux reports ICMP errors only on connected sockets.
  Result<std::size_t> send(std::span<const Datagram> datagrams, Deadline deadline) override;
  Result<DatagramBatch> receive(Deadline deadline) override;
  Address local() const noexcept override { return is_unspecified(bound_) ? address_ : bound_; }
  const Address& bound() const noexcept { return bound_; }

  // A datagram arrived. False: no room, dropped in silence.
  bool deliver(FlyingDatagram& datagram);
  void discard_received() noexcept;
  // Its node is down: from now on every call is `canceled`, and without effect.
  void sever() noexcept;
  // The world is gone.
  void forget() noexcept;

 private:
  struct Received {
    Address remote;
    Address local;
    Ecn ecn;
    Block* block;
    std::uint32_t begin;
    std::uint32_t size;
  };
  // What this socket sends to one address.
  struct Pair {
    Address remote;
    EntityId entity;
    std::uint64_t sent = 0;
    std::uint64_t burst_until = 0;  // nth datagram with which the burst of losses is over
    std::uint64_t burst_key = 0;
    std::size_t size_max = SIZE_MAX;  // of what still gets through
    bool burst_bit = true;            // counted, or none
    bool hole_bit = true;
  };
  Pair& pair(const Address& remote);
  // Where it goes, and where it comes from.
  struct Way {
    Spot to;
    Spot from;
  };
  Result<Way> way_of(const Datagram& datagram) const noexcept;
  void fly(Block* block, std::size_t begin, std::size_t size, const Datagram& datagram,
           const Way& way);
  // Draws what becomes of the nth datagram to that address: lost, cut, or changed.
  void damage(FlyingDatagram& flying, Pair& to, std::uint64_t nth);

  SimNetwork* network_;  // nullptr: severed
  Fabric* fabric_;
  EntityId entity_;
  Address bound_;
  Address address_;  // of its node, and the port
  // Sent before it received: a client, as may sit behind a NAT. A server is known by its address.
  bool spoke_first_ = false;
  bool was_spoken_to_ = false;
  std::size_t receive_buffer_;
  std::size_t buffer_asked_;
  // The youngest that came from where the last one came from.
  EntityId newest_pair_ = 0;
  std::uint64_t newest_nth_ = 0;
  RingBuffer<Received> received_;
  std::size_t received_cost_ =
      0;  // what the blocks of received_ hold, as the kernel counts buffers and not bytes
  std::vector<Pair> pairs_;  // sorted by remote
  WaitQueue waiters_;
};

}  // namespace twinwire::sim
