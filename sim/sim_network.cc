// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_network.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sim/lie.h"
#include "sim/sim_acceptor.h"
#include "sim/sim_datagram.h"
#include "sim/sim_stream.h"
#include "transport/base/sometimes.h"

namespace twinwire::sim {
namespace {

// Dials are children 0, 1, ... of their node; its other children have numbers of their own, so that one more socket
// renames no connection.
constexpr std::uint64_t datagram_sockets_from = std::uint64_t{1} << 32;
constexpr std::uint64_t randomness = std::uint64_t{2} << 32;
constexpr std::uint64_t background_fibers = std::uint64_t{3} << 32;

// When Linux sends a SYN (tcp_syn_retries = 6), and when it gives up.
constexpr std::int64_t syn_seconds[] = {0, 1, 3, 7, 15, 31, 63};
constexpr std::int64_t syn_limit_seconds = 127;

bool is_unspecified(const Address& address) noexcept {
  const std::size_t from = address.is_v4() ? 12 : 0;
  return std::all_of(address.ip.begin() + static_cast<std::ptrdiff_t>(from), address.ip.end(),
                     [](std::uint8_t b) { return b == 0; });
}

bool is_loopback(const Address& address) noexcept {
  return address.is_v4() && address.ip[12] == 127;
}

template <class Socket>
auto position(std::vector<Socket*>& sockets, std::uint16_t port) noexcept {
  return std::lower_bound(sockets.begin(), sockets.end(), port,
                          [](Socket* socket, std::uint16_t p) { return socket->local().port < p; });
}

template <class Socket>
Socket* find(const std::vector<Socket*>& sockets, std::uint16_t port) noexcept {
  const auto at = position(const_cast<std::vector<Socket*>&>(sockets), port);
  return at != sockets.end() && (*at)->local().port == port ? *at : nullptr;
}

// Gives a port back unless it was kept.
struct PortLease {
  Ports& ports;
  std::uint16_t port;
  bool kept = false;
  ~PortLease() {
    if (!kept) ports.release(port);
  }
};

}  // namespace

SimNetwork::SimNetwork(World& world, Fabric& fabric, std::string_view name, std::size_t ordinal)
    : world_(&world),
      fabric_(&fabric),
      name_(name),
      ordinal_(ordinal),
      entity_(child_entity(world.entity(), ordinal)),
      clock_(world, *this),
      random_(mix(world.decisions().seed(), child_entity(entity_, randomness)), &clock_),
      background_(world.scheduler(), child_entity(entity_, background_fibers)) {
  TWINWIRE_CHECK(ordinal < 65'000, "a world has at most 65,000 nodes");
  fabric.add(*this);
}

// Drawn when it is first looked at: where nobody looks, nothing is wrong.
std::int64_t SimNetwork::NodeClock::unix_now_ns() noexcept {
  const auto draw = [&](Site site, std::uint64_t bound) -> std::int64_t {
    if (!world_->may_strike(site)) return 0;
    const auto choice = static_cast<std::int64_t>(
        world_->choose(site, at_node(node_->address()), node_->entity(), 0, bound));
    if (choice != 0) world_->decisions().bit(site);
    return choice % 2 == 0 ? choice : -choice;
  };
  if (!std::exchange(looked_at_, true)) {
    skew_ = draw(Site::clock_skew, delay_max);
    drift_ppm_ = draw(Site::clock_drift, 1'000'000);
  }
  const TimePoint now = world_->now();
  return unix_epoch_ns + now.ns + skew_ + now.ns / 1'000'000 * drift_ppm_;
}

SimNetwork::~SimNetwork() {
  for (SimAcceptor* acceptor : acceptors_) acceptor->forget();
  for (SimDatagram* socket : datagram_sockets_) socket->forget();
}

bool SimNetwork::is_ours(const Address& address) const noexcept {
  return is_unspecified(address) || is_loopback(address) || address.ip == this->address().ip;
}

SimAcceptor* SimNetwork::acceptor(std::uint16_t port) const noexcept {
  return find(acceptors_, port);
}

SimDatagram* SimNetwork::datagram_socket(std::uint16_t port) const noexcept {
  return find(datagram_sockets_, port);
}

void SimNetwork::remove(SimAcceptor& acceptor) noexcept {
  stream_ports_.release(acceptor.local().port);
  acceptors_.erase(position(acceptors_, acceptor.local().port));
}

void SimNetwork::remove(SimDatagram& socket) noexcept {
  datagram_ports_.release(socket.local().port);
  datagram_sockets_.erase(position(datagram_sockets_, socket.local().port));
}

void SimNetwork::settle() noexcept {
  for (SimDatagram* socket : datagram_sockets_) socket->discard_received();
}

Result<std::unique_ptr<Acceptor>> SimNetwork::listen(const Address& address,
                                                     const ListenOptions& options) {
  if (!is_ours(address)) return Error{Errc::unreachable, EADDRNOTAVAIL};
  const std::uint16_t port = stream_ports_.take(address.port);
  if (port == 0) return Error{Errc::unreachable, EADDRINUSE};
  auto acceptor =
      std::make_unique<SimAcceptor>(*this, fabric_->next_serial(), this->address(port), options);
  acceptors_.insert(position(acceptors_, port), acceptor.get());
  return acceptor;
}

bool SimNetwork::no_descriptor(EntityId socket) {
  if (!world_->may_strike(Site::no_descriptors) ||
      world_->choose(Site::no_descriptors, at_node(address()), socket, 0, 1) == 0)
    return false;
  world_->decisions().bit(Site::no_descriptors);
  if (world_->tracing()) world_->tell(name_, "no_descriptors: EMFILE");
  return true;
}

Result<void> SimNetwork::wait_for_answer(TimePoint at, Deadline deadline) {
  while (world_->now() < at) {
    const Wake wake = scheduler().park(earlier(deadline, {at}), "a connection");
    if (wake == Wake::canceled) return Errc::canceled;
    if (world_->now() < at && deadline.at <= world_->now()) return Errc::timed_out;
  }
  return {};
}

Result<std::unique_ptr<ByteStream>> SimNetwork::dial(const Address& asked,
                                                     const StreamOptions& options,
                                                     Deadline deadline) {
  const EntityId entity = child_entity(entity_, dials_++);
  if (const auto refused = scheduler().refuses(deadline)) return *refused;
  if (!is_ours(options.local)) return Error{Errc::unreachable, EADDRNOTAVAIL};
  if (no_descriptor(entity)) return Error{Errc::no_resources, EMFILE};
  PortLease lease{stream_ports_, stream_ports_.take(options.local.port)};
  if (lease.port == 0)
    return Error{Errc::unreachable, options.local.port != 0 ? EADDRINUSE : EADDRNOTAVAIL};
  const Address from = address(lease.port);
  const Address to = is_ours(asked) ? address(asked.port) : asked;
  const std::string who = world_->tracing() ? to_string(from) + ">" + to_string(to) : std::string();
  const auto tell = [&](std::string_view what) {
    if (world_->tracing()) world_->tell(who, what);
  };
  tell("connects");

  const TimePoint start = world_->now();
  const Duration latency = world_->options().latency;
  if (fabric_->node(to) == nullptr) {
    if (auto waited = wait_for_answer(start + latency, deadline); !waited) return waited.error();
    tell("no such host");
    return Error{Errc::unreachable, to.is_v4() ? EHOSTUNREACH : ENETUNREACH};
  }

  const Place place = between(from, to);
  const bool black_hole = world_->choose(Site::connect_black_hole, place, entity, 0, 1) != 0;
  const bool refuse = world_->choose(Site::connect_refused, place, entity, 0, 1) != 0;
  const auto delay = Duration(world_->choose(Site::connect_delay, place, entity, 0, delay_max));
  if (black_hole) {
    world_->decisions().bit(Site::connect_black_hole);
    tell("connect_black_hole: nothing answers");
  } else if (delay != Duration(0)) {
    world_->decisions().bit(Site::connect_delay);
    tell("connect_delay: " + std::to_string(delay.count()) + " ns");
  }
  for (const std::int64_t seconds : syn_seconds) {
    if (black_hole) break;
    const TimePoint arrival = start + std::chrono::seconds(seconds) + latency + delay;
    if (auto waited = wait_for_answer(arrival, deadline); !waited) return waited.error();
    if (fabric_->outages().cut(place) || fabric_->outages().cut({place.to, place.from})) {
      tell("nothing gets through: the SYN, or its answer, is lost");
      continue;
    }
    SimAcceptor* acceptor = fabric_->acceptor(to);
    if (acceptor == nullptr && LIE(refusal_is_silence)) continue;
    if (acceptor == nullptr || refuse) {
      if (acceptor != nullptr) {
        world_->decisions().bit(Site::connect_refused);
        tell("connect_refused");
      }
      if (auto waited = wait_for_answer(arrival + latency, deadline); !waited)
        return waited.error();
      tell("refused");
      return Error{Errc::refused, ECONNREFUSED};
    }
    const bool full = LIE(backlog_one_short) ? acceptor->filled() >= acceptor->options().backlog
                                             : acceptor->full() && !LIE(backlog_without_bound);
    if (full) {
      world_->reached(Sometimes::backlog_full);
      tell("backlog full: the SYN is dropped");
      continue;
    }
    acceptor->reserve();
    const std::uint64_t serial = acceptor->serial();
    const StreamOptions listener_options = acceptor->options().stream;
    if (auto waited = wait_for_answer(arrival + latency, deadline); !waited) {
      if (SimAcceptor* still = fabric_->acceptor(to, serial)) still->unreserve();
      return waited.error();
    }
    Connection& connection = fabric_->connect(entity, from, to, options, listener_options, serial);
    lease.kept = true;
    if (seconds != 0) world_->reached(Sometimes::connected_by_later_syn);
    connection.link(0).send_open();
    return std::make_unique<SimStream>(connection, 0);
  }
  const TimePoint give_up = start + std::chrono::seconds(syn_limit_seconds);
  if (auto waited = wait_for_answer(give_up, deadline); !waited) return waited.error();
  tell("no answer for 127 s");
  return Error{Errc::timed_out, ETIMEDOUT};
}

Result<std::unique_ptr<DatagramSocket>> SimNetwork::bind(const Address& address,
                                                         const DatagramOptions& options) {
  const EntityId entity = child_entity(entity_, datagram_sockets_from + binds_++);
  if (!is_ours(address)) return Error{Errc::unreachable, EADDRNOTAVAIL};
  if (no_descriptor(entity)) return Error{Errc::no_resources, EMFILE};
  const std::uint16_t port = datagram_ports_.take(address.port);
  if (port == 0) return Error{Errc::unreachable, EADDRINUSE};
  auto socket =
      std::make_unique<SimDatagram>(*this, *fabric_, entity, this->address(port), options);
  datagram_sockets_.insert(position(datagram_sockets_, port), socket.get());
  return socket;
}

}  // namespace twinwire::sim
