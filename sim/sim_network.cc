// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_network.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sim/lie.h"
#include "sim/node.h"
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
constexpr std::uint64_t incarnations_from = std::uint64_t{4} << 32;
constexpr std::uint64_t listeners_from = std::uint64_t{5} << 32;

// When Linux sends a SYN (tcp_syn_retries = 6), and when it gives up.
constexpr std::int64_t syn_seconds[] = {0, 1, 3, 7, 15, 31, 63};
constexpr std::int64_t syn_limit_seconds = 127;

template <class Sockets>
auto position(Sockets& sockets, std::uint16_t port) noexcept {
  return std::lower_bound(
      sockets.begin(), sockets.end(), port,
      [](const auto* socket, std::uint16_t p) { return socket->bound().port < p; });
}

template <class Socket>
Socket* find(const std::vector<Socket*>& sockets, const Address& address) noexcept {
  for (auto at = position(sockets, address.port);
       at != sockets.end() && (*at)->bound().port == address.port; ++at)
    if (covers((*at)->bound(), address)) return *at;
  return nullptr;
}

// Gives a port back unless it was kept.
struct PortLease {
  Ports& ports;
  Address bound;
  bool kept = false;
  ~PortLease() {
    if (!kept) ports.release(bound);
  }
};

}  // namespace

SimNetwork::SimNetwork(World& world, Fabric& fabric, Node& node, std::size_t ordinal,
                       std::size_t incarnation, NodePorts& ports)
    : world_(&world),
      fabric_(&fabric),
      node_(&node),
      name_(node.name()),
      ordinal_(ordinal),
      entity_(child_entity(world.entity(), ordinal)),
      life_(incarnation == 0 ? entity_ : child_entity(entity_, incarnations_from + incarnation)),
      clock_(world, *this),
      random_(mix(world.decisions().seed(), child_entity(life_, randomness)), &clock_),
      background_(world.scheduler(), child_entity(life_, background_fibers)),
      ports_(&ports) {
  TWINWIRE_CHECK(ordinal < 65'000, "a world has at most 65,000 nodes");
  fabric.set(ordinal, *this);
}

void SimNetwork::sever(bool power) {
  severed_ = true;
  while (!acceptors_.empty()) acceptors_.back()->sever(power);
  while (!datagram_sockets_.empty()) datagram_sockets_.back()->sever();
  fabric_->sever(ordinal_, power);
  dialing_.wake_all(scheduler());
  background_.cancel();
}

TimePoint SimNetwork::NodeClock::now() noexcept {
  const TimePoint now = world_->now();
  Scheduler& scheduler = world_->scheduler();
  // A law that looks at it from outside sees the world's time.
  if (!scheduler.in_fiber() || scheduler.current().group != node_->node_) [[likely]]
    return now;
  const TimePoint local = scheduler.local(now);
  if (local != now && !std::exchange(drift_seen_, true)) node_->node_->clock_seen_wrong();
  return local;
}

// Drawn when it is first looked at: where nobody looks, nothing is wrong.
std::int64_t SimNetwork::NodeClock::unix_now_ns() noexcept {
  const auto draw = [&](Site site, std::uint64_t bound) -> std::int64_t {
    if (!world_->may_strike(site)) return 0;
    const auto choice = static_cast<std::int64_t>(
        world_->choose(site, at_node(node_->address()), node_->entity(), 0, bound));
    const std::int64_t signed_choice = choice % 2 == 0 ? choice : -choice;
    if (choice == 0) return 0;
    world_->decisions().bit(site);
    if (world_->tracing())
      world_->tell(node_->name(), std::string(sim::name(site)) + ": " +
                                      std::to_string(signed_choice) +
                                      (site == Site::clock_skew ? " ns" : " ppm"));
    return signed_choice;
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

Result<Spot> SimNetwork::own(const Address& asked) const noexcept {
  const Spot spot = locate(asked, address());
  if (spot.address.ip != address().ip) return Error{Errc::unreachable, EADDRNOTAVAIL};
  return spot;
}

SimAcceptor* SimNetwork::acceptor(const Address& address) const noexcept {
  return find(acceptors_, address);
}

SimDatagram* SimNetwork::datagram_socket(const Address& address) const noexcept {
  return find(datagram_sockets_, address);
}

void SimNetwork::remove(SimAcceptor& acceptor) noexcept {
  ports_->streams.release(acceptor.bound());
  acceptors_.erase(std::find(acceptors_.begin(), acceptors_.end(), &acceptor));
}

void SimNetwork::remove(SimDatagram& socket) noexcept {
  if (!LIE(closed_socket_keeps_port)) ports_->datagrams.release(socket.bound());
  datagram_sockets_.erase(std::find(datagram_sockets_.begin(), datagram_sockets_.end(), &socket));
}

Spot SimNetwork::destination(const Address& asked, const Address& bound) const noexcept {
  if (!is_unspecified(asked)) return locate(asked, address());
  Spot spot{address(asked.port), asked.is_v4() ? Realm::loop4 : Realm::loop6};
  if (asked.is_v4() && bound.is_v4() && !is_unspecified(bound))
    spot.realm = locate(bound, address()).realm;
  return spot;
}

Result<Spot> SimNetwork::source_of(const Address& asked, const Spot& to) const noexcept {
  const bool here = to.address.ip == address().ip;
  Spot from{address(asked.port), to.realm};
  if (!is_unspecified(asked)) {
    const auto said = own(asked);
    if (!said) return said.error();
    if (is_v4(said->realm) != is_v4(to.realm)) return Error{Errc::unreachable, EAFNOSUPPORT};
    from = *said;
  }
  // Loopback does not leave its node.
  if (!here && is_loopback(from.realm)) return Error{Errc::unreachable, EINVAL};
  return from;
}

void SimNetwork::settle() noexcept {
  for (SimDatagram* socket : datagram_sockets_) socket->discard_received();
}

Result<std::unique_ptr<Acceptor>> SimNetwork::listen(const Address& address,
                                                     const ListenOptions& options) {
  if (severed_) return Errc::canceled;
  Address bound = address;
  if (!is_unspecified(address)) {
    const auto spot = own(address);
    if (!spot) return spot.error();
    bound = shown(*spot);
  }
  const EntityId entity = child_entity(life_, listeners_from + listens_++);
  bound.port = ports_->streams.take(bound, world_->now(), !LIE(time_wait_stops_listeners));
  if (bound.port == 0) return Error{Errc::unreachable, EADDRINUSE};
  ListenOptions given = options;
  if (world_->may_strike(Site::short_backlog))
    if (const auto room = world_->choose(Site::short_backlog, at_node(this->address()), entity, 0);
        room != 0 && room - 1 < static_cast<std::uint64_t>(std::max(options.backlog, 0)))
      given.backlog = static_cast<int>(room - 1);
  auto acceptor =
      std::make_unique<SimAcceptor>(*this, fabric_->next_serial(), bound, given, options.backlog);
  acceptors_.insert(position(acceptors_, bound.port), acceptor.get());
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
  // As this node's clock has it: where that rounds, an instant later.
  TimePoint due = scheduler().local(at);
  if (due != at) due.ns += 1;
  while (world_->now() < at) {
    const Wake wake = dialing_.wait(scheduler(), earlier(deadline, {due}), "a connection");
    if (wake == Wake::canceled || severed_) return Errc::canceled;
    if (world_->now() < at && deadline.at <= scheduler().now()) return Errc::timed_out;
  }
  return {};
}

Result<std::unique_ptr<ByteStream>> SimNetwork::dial(const Address& asked,
                                                     const StreamOptions& options,
                                                     Deadline deadline) {
  const EntityId entity = child_entity(life_, dials_++);
  if (severed_) return Errc::canceled;
  if (const auto refused = scheduler().refuses(deadline)) return *refused;
  const Spot target = destination(asked, options.local);
  const auto source = source_of(options.local, target);
  if (!source) return source.error();
  if (no_descriptor(entity)) return Error{Errc::no_resources, EMFILE};
  // As bind(2), before it is known where to: "any" stands in everybody's way. Then the address is narrowed.
  Ports& ports = ports_->streams;
  PortLease lease{ports, shown(*source)};
  Address bound = lease.bound;
  if (options.local.port != 0 && is_unspecified(options.local) && !LIE(dial_from_any_is_narrow))
    bound.ip = is_v4(target.realm) ? Address::v4(0, 0, 0, 0, 0).ip : Address{}.ip;
  const bool served =
      options.local.port != 0 && !LIE(dial_from_served_port) && fabric_->serves(bound, address());
  lease.bound.port = served ? 0 : ports.take(bound, world_->now(), false);
  if (lease.bound.port == 0)
    return Error{Errc::unreachable, options.local.port != 0 ? EADDRINUSE : EADDRNOTAVAIL};
  if (bound.ip != lease.bound.ip) {
    ports.release(bound);
    (void)ports.take(lease.bound, world_->now(), false);
  }
  const Address from = address(lease.bound.port);
  const Address to = target.address;
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
    const TimePoint arrival = start + std::chrono::seconds(seconds) + latency + delay;
    if (black_hole && arrival < world_->options().faults.calm) continue;
    if (auto waited = wait_for_answer(arrival, deadline); !waited) return waited.error();
    if (fabric_->outages().cut(place) || fabric_->outages().cut({place.to, place.from})) {
      tell("nothing gets through: the SYN, or its answer, is lost");
      continue;
    }
    SimAcceptor* acceptor = fabric_->acceptor(target);
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
      acceptor->dropped_one();
      world_->reached(Sometimes::backlog_full);
      tell("backlog full: the SYN is dropped");
      continue;
    }
    acceptor->reserve();
    const std::uint64_t serial = acceptor->serial();
    const StreamOptions listener_options = acceptor->options().stream;
    const bool both_families = is_unspecified(acceptor->bound()) && !acceptor->bound().is_v4();
    if (auto waited = wait_for_answer(arrival + latency, deadline); !waited) {
      if (SimAcceptor* still = fabric_->acceptor(target, serial)) still->unreserve();
      return waited.error();
    }
    Connection& connection = fabric_->connect(entity, from, to, options, listener_options, serial);
    lease.kept = true;
    connection.end(0).realm = source->realm;
    connection.end(1).realm = target.realm;
    connection.end(1).both_families = both_families;
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
  const EntityId entity = child_entity(life_, datagram_sockets_from + binds_++);
  if (severed_) return Errc::canceled;
  Address bound = address;
  if (!is_unspecified(address)) {
    const auto spot = own(address);
    if (!spot) return spot.error();
    bound = shown(*spot);
  }
  if (no_descriptor(entity)) return Error{Errc::no_resources, EMFILE};
  bound.port = ports_->datagrams.take(bound, world_->now(), false);
  if (bound.port == 0) return Error{Errc::unreachable, EADDRINUSE};
  auto socket = std::make_unique<SimDatagram>(*this, *fabric_, entity, bound, options);
  datagram_sockets_.insert(position(datagram_sockets_, bound.port), socket.get());
  return socket;
}

}  // namespace twinwire::sim
