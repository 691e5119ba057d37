// SPDX-License-Identifier: Apache-2.0
#include "sim/connection.h"

#include <cerrno>

#include "sim/fabric.h"
#include "sim/lie.h"
#include "sim/sim_acceptor.h"
#include "sim/sim_network.h"
#include "transport/base/sometimes.h"

namespace twinwire::sim {
namespace {

std::string direction(World& world, const Address& from, const Address& to) {
  return world.tracing() ? to_string(from) + ">" + to_string(to) : std::string();
}

constexpr Duration time_wait = std::chrono::seconds(60);  // TCP_TIMEWAIT_LEN

// The least that Linux lets a socket have: SOCK_MIN_SNDBUF and SOCK_MIN_RCVBUF.
constexpr std::size_t buffer_least[] = {4608, 2304};

// A socket's buffer on its end of a direction: what was asked for, or usual; or little.
std::size_t buffer(World& world, EntityId link, Place place, unsigned receive, std::size_t asked,
                   std::size_t usual) {
  const std::size_t size = asked != 0 ? asked : usual;
  if (!world.may_strike(Site::small_buffer)) return size;
  const std::uint64_t more = world.choose(Site::small_buffer, place, link, receive);
  if (more == 0 || buffer_least[receive] + more >= size) return size;
  world.decisions().bit(Site::small_buffer);
  if (world.tracing())
    world.tell(world.name_of(receive != 0 ? place.to : place.from),
               "small_buffer: holds " + std::to_string(buffer_least[receive] + more) +
                   (receive != 0 ? " bytes to be read" : " bytes to be sent"));
  return buffer_least[receive] + more;
}

}  // namespace

Connection::Connection(World& world, Fabric& fabric, EntityId entity, const Address& dialer,
                       const Address& listener, const StreamOptions& dialer_options,
                       const StreamOptions& listener_options, std::uint64_t acceptor_serial)
    : world_(&world),
      fabric_(&fabric),
      entity_(entity),
      acceptor_serial_(acceptor_serial),
      ends_{End{.address = dialer}, End{.address = listener}},
      links_{{{world, *this, 0, child_entity(entity, 0), between(dialer, listener),
               buffer(world, child_entity(entity, 0), between(dialer, listener), 0,
                      dialer_options.send_buffer, world.options().send_buffer),
               buffer(world, child_entity(entity, 0), between(dialer, listener), 1,
                      listener_options.receive_buffer, world.options().receive_buffer),
               direction(world, dialer, listener)},
              {world, *this, 1, child_entity(entity, 1), between(listener, dialer),
               buffer(world, child_entity(entity, 1), between(listener, dialer), 0,
                      listener_options.send_buffer, world.options().send_buffer),
               buffer(world, child_entity(entity, 1), between(listener, dialer), 1,
                      dialer_options.receive_buffer, world.options().receive_buffer),
               direction(world, listener, dialer)}}} {}

void Connection::wake_reader(unsigned side) noexcept {
  if (ends_[side].reader != nullptr) (void)world_->scheduler().wake(*ends_[side].reader);
}

void Connection::wake_writer(unsigned side) noexcept {
  if (ends_[side].writer != nullptr) (void)world_->scheduler().wake(*ends_[side].writer);
}

void Connection::die(unsigned side, int os_errno) {
  End& end = ends_[side];
  if (end.dead) return;
  end.dead = true;
  end.os_errno = os_errno;
  links_[side].discard_unsent();
  wake_reader(side);
  wake_writer(side);
  links_[1 - side].probe_if_stuck();
}

void Connection::reset_arrived(unsigned side) {
  End& end = ends_[side];
  if (end.dead) return;
  // As tcp_reset() has it: whoever has the peer's end and has not ended itself (CLOSE_WAIT) learns EPIPE. Where both
  // have ended and know it, nothing is left to reset.
  bool close_wait = links_[1 - side].ended() && !end.shut;
  if (LIE(reset_after_end_is_reset)) close_wait = false;
  if (LIE(reset_in_closing_is_epipe)) close_wait = links_[1 - side].ended();
  if (LIE(reset_discards_received)) links_[1 - side].discard_received();
  const bool closed = links_[1 - side].ended() && links_[side].ended();
  die(side, close_wait || closed ? EPIPE : ECONNRESET);
}

void Connection::abort(unsigned side) {
  End& end = ends_[side];
  if (end.aborted) return;
  end.aborted = true;
  if (links_[1 - side].readable() > 0) world_->reached(Sometimes::closed_with_bytes_unread);
  links_[1 - side].discard_received();
  if (end.dead) return;
  links_[side].discard_unsent();
  if (LIE(abort_ends_politely)) {
    links_[side].send_fin();
  } else {
    links_[side].send_reset(true);
  }
  die(side, 0);
}

void Connection::detach(unsigned side) {
  End& end = ends_[side];
  if (!end.dead && !(end.end_read && end.shut)) abort(side);
  links_[1 - side].discard_received();
  end.stream = nullptr;
  end.detached = true;
  give_port_back(side);
  if (unseen()) fabric_->release(*this);
}

void Connection::let_go(unsigned side) {
  End& end = ends_[side];
  // Whoever waits there is told by its stream, which knows this connection no more.
  wake_reader(side);
  wake_writer(side);
  end.reader = nullptr;
  end.writer = nullptr;
  links_[side].set_writer_waiting(false);
  end.stream = nullptr;
}

bool Connection::orphan(unsigned side) {
  End& end = ends_[side];
  let_go(side);
  if (!end.dead && links_[1 - side].readable() > 0) {
    abort(side);
  } else if (!end.dead && !end.shut) {
    end.shut = true;
    links_[side].send_fin();
  }
  links_[1 - side].discard_received();
  end.detached = true;
  give_port_back(side);
  return release_unseen();
}

bool Connection::release_unseen() {
  if (!unseen()) return false;
  fabric_->release(*this);
  return true;
}

bool Connection::vanish(unsigned side) {
  let_go(side);
  if (links_[side].lose_power()) ends_[1].detached = true;  // its listener never hears of it
  links_[1 - side].discard_received();
  ends_[side].detached = true;
  die(side, 0);
  give_port_back(side);
  return release_unseen();
}

void Connection::open_lost() {
  if (SimAcceptor* acceptor =
          fabric_->acceptor({ends_[1].address, ends_[1].realm}, acceptor_serial_))
    acceptor->unreserve();
}

void Connection::give_port_back(unsigned side) {
  const End& end = ends_[side];
  SimNetwork* node = fabric_->node(end.address);
  if (node == nullptr) return;
  // A reset leaves nothing behind; and of two that end, the one that did so first waits.
  const bool lingers = LIE(dropped_connection_lingers) || (!end.dead && end.ended_first);
  const TimePoint until = world_->now() + time_wait;
  if (LIE(no_time_wait) || !lingers) {
    if (side == 0) node->stream_ports().release(end.shown());
  } else if (side == 0) {
    node->stream_ports().linger(end.shown(), until);
  } else {
    node->stream_ports().linger_accepted(end.shown(), until);
  }
}

void Connection::open_arrived() {
  SimAcceptor* acceptor = fabric_->acceptor({ends_[1].address, ends_[1].realm}, acceptor_serial_);
  if (acceptor != nullptr) {
    acceptor->enqueue(*this);
    return;
  }
  if (ends_[1].detached) return;  // its kernel lost power meanwhile
  world_->reached(Sometimes::listener_gone_before_connection);
  // The listener is gone: its kernel does not know this connection.
  ends_[1].detached = true;
  links_[1].send_reset(false);
  die(1, 0);
}

}  // namespace twinwire::sim
