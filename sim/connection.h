// SPDX-License-Identifier: Apache-2.0
// Connection: what two kernels know of one TCP connection. It outlives the streams: what was accepted goes on
// travelling after a close. Owned by the Fabric.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "sim/link.h"
#include "sim/realm.h"
#include "sim/world.h"
#include "transport/net/address.h"
#include "transport/net/network.h"

namespace twinwire::sim {

class Fabric;
class SimAcceptor;
class SimStream;

// One side's socket.
struct End {
  Address address;              // of its node, and the port
  Realm realm = Realm::v4;      // how that looks
  SimStream* stream = nullptr;  // nullptr: not accepted yet, or closed
  Fiber* reader = nullptr;      // parked
  Fiber* writer = nullptr;
  int os_errno = 0;         // why it died
  bool error_told = false;  // a call has returned it
  bool dead = false;        // the kernel knows this socket no more: reset, timed out or aborted
  bool aborted = false;     // by its own side
  bool shut = false;        // shutdown_write()
  bool end_read = false;    // a read returned the end
  bool ended_first =
      false;              // when the peer's end had not arrived: what follows a close is TIME_WAIT
  bool detached = false;  // no stream, and never again one
  // Accepted by a listener on ::, whose sockets take their port in both families.
  bool both_families = false;

  Address shown() const noexcept { return sim::shown(address, realm); }
};

class Connection {
 public:
  // Side 0 dialed, side 1 accepts.
  Connection(World& world, Fabric& fabric, EntityId entity, const Address& dialer,
             const Address& listener, const StreamOptions& dialer_options,
             const StreamOptions& listener_options, std::uint64_t acceptor_serial);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  World& world() noexcept { return *world_; }
  EntityId entity() const noexcept { return entity_; }
  // The link on which `side` sends.
  Link& link(unsigned side) noexcept { return links_[side]; }
  End& end(unsigned side) noexcept { return ends_[side]; }
  const End& end(unsigned side) const noexcept { return ends_[side]; }

  // This side's application drops it: RST.
  void abort(unsigned side);
  // This side's stream is gone: a plain close after both ends, else abort(). May free the connection.
  void detach(unsigned side);
  // This side's program was killed; its stream is gone. The kernel closes for it: FIN behind what was written, or RST
  // where something was unread. Whether that freed the connection.
  bool orphan(unsigned side);
  // This side's machine lost power: nobody is told. Whether that freed the connection.
  bool vanish(unsigned side);
  // This side's socket died; whoever waits on it wakes.
  void die(unsigned side, int os_errno);
  // A reset reached this side.
  void reset_arrived(unsigned side);
  // The handshake's last step reached the listener.
  void open_arrived();
  // It never will: a reset has destroyed it, or its sender lost power before it got through.
  void open_lost();
  void wake_reader(unsigned side) noexcept;
  void wake_writer(unsigned side) noexcept;

  // Nobody can see any more what happens on it.
  bool unseen() const noexcept { return ends_[0].detached && ends_[1].detached; }
  Fabric& fabric() noexcept { return *fabric_; }
  std::uint64_t acceptor_serial() const noexcept { return acceptor_serial_; }

  // For the backlog and for accept_failure.
  std::uint64_t accepts_tried = 0;
  // The Fabric's list.
  Connection* next = nullptr;
  Connection* previous = nullptr;

 private:
  // This side is gone: its port is free, or lingers.
  void give_port_back(unsigned side);

  World* world_;
  Fabric* fabric_;
  EntityId entity_;
  std::uint64_t acceptor_serial_;
  void let_go(unsigned side);
  bool release_unseen();
  std::array<End, 2> ends_;
  std::array<Link, 2> links_;
};

}  // namespace twinwire::sim
