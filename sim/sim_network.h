// SPDX-License-Identifier: Apache-2.0
// SimNetwork: the Network of one simulated node: 10.0.0.n, fd00::n, 127.0.0.1 and ::1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/entropy.h"
#include "sim/fabric.h"
#include "sim/ports.h"
#include "sim/world.h"
#include "transport/net/network.h"

namespace twinwire::sim {

class Node;

class SimNetwork final : public Network {
 public:
  // Virtual time 0 as the nodes' calendars have it: 2025-01-01 00:00:00 UTC.
  static constexpr std::int64_t unix_epoch_ns = 1'735'689'600'000'000'000;

  // Of the nth incarnation of that node.
  SimNetwork(World& world, Fabric& fabric, Node& node, std::size_t ordinal, std::size_t incarnation,
             NodePorts& ports);
  ~SimNetwork() override;

  const std::string& name() const noexcept { return name_; }
  // The node's, in each incarnation.
  EntityId entity() const noexcept { return entity_; }
  Address address(std::uint16_t port = 0) const noexcept {
    return Address::v4(10, 0, static_cast<std::uint8_t>((ordinal_ + 1) >> 8),
                       static_cast<std::uint8_t>(ordinal_ + 1), port);
  }
  // The same node over IPv6: fd00::n.
  Address address6(std::uint16_t port = 0) const noexcept {
    return shown(address(port), Realm::v6);
  }
  World& world() noexcept { return *world_; }
  Node& node() noexcept { return *node_; }
  // The node is down, or was since: every call here and on every socket is `canceled`, and without effect.
  bool severed() const noexcept { return severed_; }
  // `power`: its kernel is gone as well, and tells nobody.
  void sever(bool power);

  // Errors     unreachable (EADDRINUSE, EADDRNOTAVAIL)
  Result<std::unique_ptr<Acceptor>> listen(const Address& address,
                                           const ListenOptions& options) override;
  // A dial that is canceled, or whose deadline passes, leaves nothing behind.
  // Errors     refused · unreachable (no such host; no free port) · timed_out (the deadline; or ETIMEDOUT after 127 s
  //            of silence, as tcp_syn_retries = 6) · canceled
  Result<std::unique_ptr<ByteStream>> dial(const Address& address, const StreamOptions& options,
                                           Deadline deadline) override;
  Result<std::unique_ptr<DatagramSocket>> bind(const Address& address,
                                               const DatagramOptions& options) override;

  Scope& background() noexcept override { return background_; }
  Scheduler& scheduler() noexcept override { return world_->scheduler(); }
  Clock& clock() noexcept override { return clock_; }
  Random& random() noexcept override { return random_; }
  BufferPool& buffers() noexcept override { return world_->buffers(); }

  // --- For the fabric ----------------------------------------------------------------------------------------------

  // Whose address is one of this node's.
  Result<Spot> own(const Address& address) const noexcept;
  // Where what is sent to `asked` goes: "any" is this node by loopback, or by the address that the sender has.
  Spot destination(const Address& asked, const Address& bound) const noexcept;
  // Where what is sent to `to` comes from, for a socket that is bound so.
  Result<Spot> source_of(const Address& asked, const Spot& to) const noexcept;
  // Who hears what is sent to this address, as it looks.
  SimAcceptor* acceptor(const Address& address) const noexcept;
  SimDatagram* datagram_socket(const Address& address) const noexcept;
  Ports& stream_ports() noexcept { return ports_->streams; }
  void remove(SimAcceptor& acceptor) noexcept;
  void remove(SimDatagram& socket) noexcept;
  void settle() noexcept;

 private:
  class NodeClock final : public Clock {
   public:
    NodeClock(World& world, const SimNetwork& node) noexcept : world_(&world), node_(&node) {}
    TimePoint now() noexcept override;
    std::int64_t unix_now_ns() noexcept override;

   private:
    World* world_;
    const SimNetwork* node_;
    bool looked_at_ = false;
    bool drift_seen_ = false;
    std::int64_t skew_ = 0;
    std::int64_t drift_ppm_ = 0;
  };
  bool no_descriptor(EntityId socket);
  // Waits for the answer of an attempt to connect, due at `at`.
  // Errors     timed_out · canceled
  Result<void> wait_for_answer(TimePoint at, Deadline deadline);

  World* world_;
  Fabric* fabric_;
  Node* node_;
  std::string name_;
  std::size_t ordinal_;
  EntityId entity_;
  EntityId life_;  // this incarnation's: the first's is the node's
  bool severed_ = false;
  WaitQueue dialing_;
  NodeClock clock_;
  SeededRandom random_;  // keyed by (seed, node)
  Scope background_;
  NodePorts* ports_;
  std::uint64_t dials_ = 0;
  std::uint64_t binds_ = 0;
  std::uint64_t listens_ = 0;
  // Sorted by port; several of one port have different addresses.
  std::vector<SimAcceptor*> acceptors_;
  std::vector<SimDatagram*> datagram_sockets_;
};

}  // namespace twinwire::sim
