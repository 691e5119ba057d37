// SPDX-License-Identifier: Apache-2.0
// Fabric: what connects the nodes of a world: who has which address, and what is on its way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "sim/connection.h"
#include "sim/outages.h"
#include "sim/realm.h"
#include "sim/world.h"
#include "transport/net/address.h"

namespace twinwire::sim {

class FlyingDatagram;
class SimAcceptor;
class SimDatagram;
class SimNetwork;

// No single delay is longer, whatever a plan or an edit says: sums of them must stay in range.
inline constexpr std::uint64_t delay_max = Duration(std::chrono::hours(24 * 30)).count();

// The number of the node that has this address, whether or not there is one.
constexpr std::uint32_t node_number(const Address& address) noexcept {
  return std::uint32_t{address.ip[14]} * 256 + address.ip[15] - 1;
}
constexpr Place between(const Address& from, const Address& to) noexcept {
  return {node_number(from), node_number(to)};
}
constexpr Place at_node(const Address& node) noexcept { return between(node, node); }

class Fabric {
 public:
  explicit Fabric(World& world) noexcept : world_(&world), outages_(world) {}
  Fabric(const Fabric&) = delete;
  Fabric& operator=(const Fabric&) = delete;
  ~Fabric();

  // The nth node has this network now.
  void set(std::size_t ordinal, SimNetwork& node) {
    if (ordinal == nodes_.size())
      nodes_.push_back(&node);
    else
      nodes_[ordinal] = &node;
  }
  // The node that has this address, whatever the port; nullptr: none.
  SimNetwork* node(const Address& address) const noexcept;
  // Who listens there; nullptr: nobody, or (where `serial` is given) another than meant.
  SimAcceptor* acceptor(const Spot& spot, std::uint64_t serial = 0) const noexcept;
  SimDatagram* datagram_socket(const Spot& spot) const noexcept;

  Connection& connect(EntityId entity, const Address& dialer, const Address& listener,
                      const StreamOptions& dialer_options, const StreamOptions& listener_options,
                      std::uint64_t acceptor_serial);
  // The sockets of a node's program are gone: closed by its kernel, or with their kernel.
  void sever(std::size_t ordinal, bool power);
  // Whether `node` has an accepted connection, or one to accept, in whose way a socket that is bound so would be.
  bool serves(const Address& bound, const Address& node) const noexcept;
  // Frees it.
  void release(Connection& connection);

  // A datagram that may fly; goes back by put_datagram().
  FlyingDatagram* take_datagram();
  void put_datagram(FlyingDatagram& datagram) noexcept;

  std::uint64_t next_serial() noexcept { return ++serials_; }
  // Who hears whom.
  Outages& outages() noexcept { return outages_; }
  // What a socket's datagrams come from, for those who receive them: its own address, until rename() gave it another
  // port, as a NAT does that forgot the one before. What is sent to the old one arrives nowhere.
  Address seen_as(const Address& socket) const noexcept;
  Address rename(const Address& socket);
  Address origin_of(const Address& seen) const noexcept;
  void forget_name(const Address& socket) noexcept;
  std::size_t connections() const noexcept { return connection_count_; }

  // After a run: drops what is still in flight or unread, so that a block that is still out is one that a user holds.
  void settle() noexcept;

 private:
  void unlink(Connection& connection) noexcept;

  World* world_;
  Outages outages_;
  struct Renamed {
    Address seen;
    Address own;
    std::uint16_t first_port;  // of those that it was given
    bool gone = false;         // the socket; origin_of() still knows it
  };
  std::vector<Renamed> renamed_;
  std::vector<SimNetwork*> nodes_;  // by ordinal
  Connection* connections_ = nullptr;
  std::size_t connection_count_ = 0;
  FlyingDatagram* flying_ = nullptr;  // all that were made, by `next_made`
  FlyingDatagram* idle_ = nullptr;
  std::uint64_t serials_ = 0;
};

}  // namespace twinwire::sim
