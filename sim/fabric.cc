// SPDX-License-Identifier: Apache-2.0
#include "sim/fabric.h"

#include <algorithm>

#include "sim/ports.h"
#include "sim/sim_acceptor.h"
#include "sim/sim_datagram.h"
#include "sim/sim_network.h"
#include "sim/sim_stream.h"
#include "transport/base/sometimes.h"

namespace twinwire::sim {
namespace {

constexpr int ports_of_one = 100;  // that a NAT may give a socket

}  // namespace

Fabric::~Fabric() {
  // A stream that somebody still holds must not reach into what is gone.
  while (connections_ != nullptr) {
    Connection& connection = *connections_;
    for (unsigned side = 0; side < 2; ++side)
      if (SimStream* stream = connection.end(side).stream) stream->forget();
    unlink(connection);
    delete &connection;
  }
  while (flying_ != nullptr) {
    FlyingDatagram* datagram = flying_;
    flying_ = datagram->next_made;
    datagram->drop();
    delete datagram;
  }
}

SimNetwork* Fabric::node(const Address& address) const noexcept {
  if (!address.is_v4() || address.ip[12] != 10 || address.ip[13] != 0) return nullptr;
  const std::size_t number = std::size_t{address.ip[14]} * 256 + address.ip[15];
  return number >= 1 && number <= nodes_.size() ? nodes_[number - 1] : nullptr;
}

SimAcceptor* Fabric::acceptor(const Spot& spot, std::uint64_t serial) const noexcept {
  SimNetwork* host = node(spot.address);
  SimAcceptor* found = host != nullptr ? host->acceptor(shown(spot)) : nullptr;
  return found != nullptr && serial != 0 && found->serial() != serial ? nullptr : found;
}

SimDatagram* Fabric::datagram_socket(const Spot& spot) const noexcept {
  const Address& address = spot.address;
  SimNetwork* host = node(address);
  if (host == nullptr) return nullptr;
  if (renamed_.empty()) return host->datagram_socket(shown(spot));
  // A NAT that gave a socket another port has forgotten the one before, and the socket's own is behind it.
  for (const Renamed& renamed : renamed_) {
    if (renamed.gone) continue;
    if (renamed.seen == address) return host->datagram_socket(shown(renamed.own, spot.realm));
    if (renamed.own != address) continue;
    world_->reached(Sometimes::datagram_to_forgotten_address);
    return nullptr;
  }
  return host->datagram_socket(shown(spot));
}

Address Fabric::rename(const Address& socket) {
  for (Renamed& renamed : renamed_) {
    if (renamed.own != socket || renamed.gone) continue;
    if (renamed.seen.port < renamed.first_port + ports_of_one - 1) ++renamed.seen.port;
    return renamed.seen;
  }
  // Ports that no socket has of its own.
  Renamed renamed{socket, socket, 0, false};
  renamed.first_port =
      static_cast<std::uint16_t>(Ports::ephemeral_last + 1 + ports_of_one * (renamed_.size() % 45));
  renamed.seen.port = renamed.first_port;
  renamed_.push_back(renamed);
  return renamed.seen;
}

Address Fabric::seen_as(const Address& socket) const noexcept {
  for (const Renamed& renamed : renamed_)
    if (renamed.own == socket && !renamed.gone) return renamed.seen;
  return socket;
}

Address Fabric::origin_of(const Address& seen) const noexcept {
  for (const Renamed& renamed : renamed_)
    if (renamed.own.ip == seen.ip && seen.port >= renamed.first_port &&
        seen.port < renamed.first_port + ports_of_one)
      return renamed.own;
  return seen;
}

void Fabric::forget_name(const Address& socket) noexcept {
  for (Renamed& renamed : renamed_) renamed.gone = renamed.gone || renamed.own == socket;
}

Connection& Fabric::connect(EntityId entity, const Address& dialer, const Address& listener,
                            const StreamOptions& dialer_options,
                            const StreamOptions& listener_options, std::uint64_t acceptor_serial) {
  auto* connection = new Connection(*world_, *this, entity, dialer, listener, dialer_options,
                                    listener_options, acceptor_serial);
  connection->next = connections_;
  if (connections_ != nullptr) connections_->previous = connection;
  connections_ = connection;
  ++connection_count_;
  return *connection;
}

void Fabric::sever(std::size_t ordinal, bool power) {
  for (Connection* next = connections_; next != nullptr;) {
    Connection& connection = *next;
    next = connection.next;  // it may be freed
    for (unsigned side = 0; side < 2; ++side) {
      End& end = connection.end(side);
      if (node_number(end.address) != ordinal || end.detached) continue;
      // One that waits to be accepted is its listener's; one that nobody has told the listener of yet, nobody's.
      if (end.stream == nullptr && !power) continue;
      if (end.stream != nullptr) end.stream->sever();
      if (power ? connection.vanish(side) : connection.orphan(side)) break;
    }
  }
}

bool Fabric::serves(const Address& bound, const Address& node) const noexcept {
  for (const Connection* each = connections_; each != nullptr; each = each->next) {
    const End& end = each->end(1);
    if (end.detached || end.dead || end.address.ip != node.ip) continue;
    // Linux's inet_rcv_saddr_equal(): such a socket, over IPv6, stands in the way of 0.0.0.0 as well.
    const bool any4 = bound.is_v4() && is_unspecified(bound) && bound.port == end.address.port;
    if (conflict(end.shown(), bound) || (any4 && end.both_families)) return true;
  }
  return false;
}

void Fabric::unlink(Connection& connection) noexcept {
  (connection.previous != nullptr ? connection.previous->next : connections_) = connection.next;
  if (connection.next != nullptr) connection.next->previous = connection.previous;
  --connection_count_;
}

void Fabric::release(Connection& connection) {
  unlink(connection);
  delete &connection;
}

FlyingDatagram* Fabric::take_datagram() {
  if (idle_ == nullptr) {
    auto* made = new FlyingDatagram(*this);
    made->next_made = flying_;
    flying_ = made;
    return made;
  }
  FlyingDatagram* datagram = idle_;
  idle_ = datagram->next_idle;
  return datagram;
}

void Fabric::put_datagram(FlyingDatagram& datagram) noexcept {
  datagram.next_idle = idle_;
  idle_ = &datagram;
}

void Fabric::settle() noexcept {
  for (Connection* connection = connections_; connection != nullptr; connection = connection->next)
    for (unsigned side = 0; side < 2; ++side) connection->link(side).discard_all();
  for (FlyingDatagram* datagram = flying_; datagram != nullptr; datagram = datagram->next_made)
    if (datagram->queued()) datagram->drop();
  for (SimNetwork* node : nodes_) node->settle();
}

}  // namespace twinwire::sim
