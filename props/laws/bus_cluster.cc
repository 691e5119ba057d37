// SPDX-License-Identifier: Apache-2.0
#include "props/laws/bus_cluster.h"

#include <algorithm>
#include <iterator>

#include "transport/bus/planes.h"
#include "transport/tcp/tcp.h"
#include "transport/tls/tls.h"

namespace twinwire::laws {
namespace {

// What all replicas have and nobody else; by another number, what somebody else has.
bus::HandshakeKey bus_key(std::uint64_t number) {
  bus::HandshakeKey key;
  for (std::size_t i = 0; i < key.bytes.size(); ++i)
    key.bytes[i] = static_cast<std::byte>(scramble(mix(number, i)));
  return key;
}
constexpr std::uint64_t our_key = 1, another_key = 2;

}  // namespace

BusCluster::BusCluster(Env& env, std::size_t count, OpenClients open_clients)
    : book(env.judge(), env.seed()),
      env_(&env),
      scheduler_(&env.node("main").scheduler()),
      open_clients_(std::move(open_clients)),
      tls_(env.draw(4) == 1),
      all_listen_(*scheduler_) {
  // A fifth of it is what a loaded machine may take to answer (see promptly() of the scenario).
  if (!env.simulated()) times.unit = std::chrono::milliseconds(400);
  constexpr std::size_t queues[] = {16, 4, 256};
  queue_max_ = queues[env.draw(std::size(queues))];
  pace_us_ = 10'000 + env.draw(std::uint64_t{1} << env.draw(19));
  for (std::size_t i = 1; i <= count; ++i) {
    nodes.push_back(std::make_unique<BusNode>(*scheduler_, static_cast<bus::ReplicaId>(i)));
    (void)env.node(nodes.back()->name);
  }
}

bus::BusOptions BusCluster::options_of(const BusNode& node) const {
  bus::BusOptions options = times.options();
  options.replica = node.id;
  for (const auto& one : nodes) options.members.push_back(one->id);
  options.queue_max = queue_max_;
  return options;
}

bus::HandshakeOptions BusCluster::handshake_of(bus::ReplicaId id,
                                               bus::HandshakeMemory& memory) const {
  bus::HandshakeOptions options;
  options.cluster = {.low = 0x7477696e, .high = 0x77697265};
  options.id = id;
  options.keys.current = bus_key(our_key);
  options.admitted.reset();
  for (const auto& one : nodes) options.admitted.set(one->id);
  options.channel_needed = tls_;
  options.memory = &memory;
  return options;
}

// --- A node's program ----------------------------------------------------------------------------------------------

void BusCluster::run(BusNode& node) {
  env_->run_node(node.name, [&](Network& network, sim::Disk::File) { live(node, network); });
  node.ended.set();
}

void BusCluster::live(BusNode& node, Network& network) {
  ++node.starts;
  BusApp app(*env_, book, network, node.name, times);
  // Of this process: who starts again remembers no nonce.
  bus::HandshakeMemory memory;
  const OverheardHandshake who(handshake_of(node.id, memory), overheard_);
  Result<std::unique_ptr<bus::Bus>> made = Errc::no_resources;
  while (!made) {
    made = bus::Bus::create(network, options_of(node), app);
    if (!made && !scheduler_->sleep_for(std::chrono::milliseconds(10))) return;
  }
  bus::Bus& bus = **made;
  app.serve(bus);
  node.app = &app;
  if (open_planes(node, bus, who)) {
    if (std::ranges::all_of(nodes, [](const auto& n) { return n->replicas && n->clients; }))
      all_listen_.set();
    if (all_listen_.wait(Deadline::never(), "all nodes to listen")) {
      while (!join(bus, who) && scheduler_->sleep_for(std::chrono::milliseconds(10))) {}
      run_scope(*scheduler_, [&](Scope& scope) {
        scope.spawn(node.name + ".chatter", [&] { chatter(node, app); });
        (void)node.stop.wait(Deadline::never(), "the end of the scenario");
        scope.cancel();
      });
    }
  }
  const TimePoint begun = network.clock().now();
  node.outcome = bus.shut_down();
  node.shutdown_took = network.clock().now() - begun;
  node.app = nullptr;
  app.judge_end();
}

// False: it was told to stop.
bool BusCluster::open_planes(BusNode& node, bus::Bus& bus, const OverheardHandshake& who) {
  const auto try_until_open = [&](std::optional<Address>& at, auto&& open) {
    for (;;) {
      const auto opened = open(at.value_or(env_->bind_address(node.name)));
      if (opened) {
        at = *opened;
        return true;
      }
      if (!scheduler_->sleep_for(std::chrono::milliseconds(50))) return false;
    }
  };
  return try_until_open(node.clients, [&](const Address& at) { return open_clients_(bus, at); }) &&
         try_until_open(node.replicas, [&](const Address& at) { return listen(bus, at, who); });
}

Result<Address> BusCluster::listen(bus::Bus& bus, const Address& address,
                                   const OverheardHandshake& who) {
  if (tls_) return bus::open_replica_plane<Tls>(bus, address, env_->listen_options<Tls>(), who);
  return bus::open_replica_plane<Tcp>(bus, address, env_->listen_options<Tcp>(), who);
}

Result<void> BusCluster::join(bus::Bus& bus, const OverheardHandshake& who) {
  std::vector<bus::Member> members;
  members.reserve(nodes.size());
  for (const auto& node : nodes) members.push_back({node->id, *node->replicas});
  if (tls_) return bus::join_mesh<Tls>(bus, members, env_->dial_options<Tls>(), who);
  return bus::join_mesh<Tcp>(bus, members, env_->dial_options<Tcp>(), who);
}

void BusCluster::chatter(BusNode& node, BusApp& app) {
  std::uint64_t key = mix(env_->seed() + node.id, node.starts);
  const auto draw = [&key](std::uint64_t below) {
    key = scramble(key + 0x9e3779b97f4a7c15ULL);
    return key % below;
  };
  constexpr std::size_t bodies[] = {0, 100, 3000, 40'000};
  while (storm) {
    const Duration pause = std::chrono::microseconds(draw(pace_us_));
    if (!scheduler_->sleep_for(pause) || !storm) return;
    const auto peer = static_cast<bus::ReplicaId>(1 + draw(nodes.size()));
    const auto client = app.any_client(draw(100));
    const std::uint64_t what = draw(100);
    const BusAsk ask = what < 20   ? BusAsk::echo
                       : what < 22 ? BusAsk::fail
                       : what < 24 ? BusAsk::doze
                                   : BusAsk::nothing;
    const bool to_client = client && draw(2) == 0;
    if (what == 99 && to_client) app.bus().disconnect(*client);
    if (what == 98) app.bus().disconnect(peer);
    // Several at once, now and then: they become a batch, and fill a queue.
    for (std::uint64_t n = draw(16) == 0 ? draw(2 * queue_max_) : 1; n > 0; --n) {
      const std::size_t body = bodies[draw(n > 8 ? 2 : std::size(bodies))];
      if (to_client)
        (void)app.say(*client, body);
      else if (peer != node.id)
        (void)app.say(peer, body, n == 1 ? ask : BusAsk::nothing);
    }
  }
}

// --- What main does ------------------------------------------------------------------------------------------------

bool BusCluster::whole() const {
  return std::ranges::all_of(nodes, [&](const auto& node) {
    return node->app != nullptr && node->app->bus().replicas() + 1 == nodes.size();
  });
}

void BusCluster::await_whole(Duration bound, std::string_view after) {
  const bool came = await(bound, [&] { return whole(); });
  judge().check(came, "bus_mesh", [&] {
    std::string text = "the mesh is not whole again in time after " + std::string(after) + ":";
    for (const auto& node : nodes)
      text += " " + node->name + " has " +
              (node->app == nullptr ? "no bus" : std::to_string(node->app->bus().replicas()));
    return text;
  });
}

void BusCluster::renew() {
  for (const auto& from : nodes)
    for (const auto& to : nodes)
      if (from->app != nullptr && from->id < to->id) from->app->bus().disconnect(to->id);
  (void)scheduler_->sleep_for(times.unit / 10);
}

void BusCluster::await_heard(Duration bound) {
  const bool heard = await(bound, [&] {
    if (!whole()) return false;
    for (const auto& from : nodes)
      for (const auto& to : nodes)
        if (from != to) (void)from->app->say(to->id, 100);
    return await(times.unit / 5, [&] { return whole() && idle(); });
  });
  judge().check(heard, "bus_mesh", "long after the faults a replica does not hear another");
}

bool BusCluster::idle() const {
  return std::ranges::all_of(
      nodes, [](const auto& node) { return node->app == nullptr || node->app->idle(); });
}

std::uint64_t BusCluster::replicas_lost() const {
  std::uint64_t lost = 0;
  for (const auto& node : nodes) lost += node->app == nullptr ? 0 : node->app->replicas_lost();
  return lost;
}

void BusCluster::judge_left(std::string_view after) {
  for (const auto& node : nodes) {
    if (node->app == nullptr) continue;
    const bus::Bus& bus = node->app->bus();
    judge().check(bus.connections_alive() == bus.clients() + bus.replicas(), "bus_left", [&] {
      return "after " + std::string(after) + " " + node->name + " serves " +
             std::to_string(bus.connections_alive()) + " connections, of which " +
             std::to_string(bus.clients() + bus.replicas()) + " have a place";
    });
  }
}

// --- Who comes to the plane of replicas ----------------------------------------------------------------------------

namespace {

// Dials as T, says what `greet` says, sends some messages of the session, and reads until it is dropped.
template <Transport T, class Greet>
BusCluster::Visit visit(BusCluster& cluster, Network& network, const Address& address,
                        const typename T::Options& options, std::optional<BusBook::Session> session,
                        Duration patience, Greet&& greet) {
  BusCluster::Visit told;
  const TimePoint begun = network.clock().now();
  const Deadline deadline{begun + patience};
  auto conn = T::dial(network, address, options, deadline);
  if (!conn) return told;
  const auto binding = conn->channel_binding();
  auto [reader, writer] = split(std::move(*conn));
  if (!greet(reader, writer, bus::bytes_of(binding), deadline)) return told;
  told.authenticated = true;
  const TimePoint from = network.clock().now();
  told.until_authenticated = from - begun;
  Batch batch(3);
  while (session && batch.size() < 3) {
    auto made =
        cluster.book.make(network.buffers(), Command::prepare, *session, 100, BusAsk::nothing);
    if (!made) break;
    cluster.book.queued(*session);
    batch.push(std::move(*made));
  }
  (void)writer.send_batch(batch, deadline);
  for (;;) {
    const auto message = reader.read_message(default_max_message, deadline);
    if (message) continue;
    if (message.error() == Errc::no_resources &&
        network.scheduler().sleep_for(std::chrono::milliseconds(1)))
      continue;
    told.dropped = message.error() != Errc::timed_out && message.error() != Errc::canceled;
    break;
  }
  told.until_dropped = network.clock().now() - from;
  return told;
}

}  // namespace

BusCluster::Visit BusCluster::twin(BusNode& at, bus::ReplicaId as) {
  return come_as(at, as, book.begin("a second r" + std::to_string(as), "bus_duplicate"),
                 5 * times.unit);
}

BusCluster::Visit BusCluster::sleeper(BusNode& at, bus::ReplicaId as) {
  return come_as(at, as, std::nullopt, 30 * times.unit);
}

BusCluster::Visit BusCluster::come_as(BusNode& at, bus::ReplicaId as,
                                      std::optional<BusBook::Session> session, Duration patience) {
  Network& network = env_->node("twin");
  const bus::KeyedHandshake who(handshake_of(as, visitors_));
  const auto greet = [&](auto& reader, auto& writer, auto binding, Deadline deadline) {
    return who.dial(network, reader, writer, at.id, binding, deadline).has_value();
  };
  if (tls_)
    return visit<Tls>(*this, network, *at.replicas, env_->dial_options<Tls>(), session, patience,
                      greet);
  return visit<Tcp>(*this, network, *at.replicas, env_->dial_options<Tcp>(), session, patience,
                    greet);
}

void BusCluster::stranger(BusNode& at) {
  if (!at.replicas) return;
  Network& network = env_->node("stranger");
  const auto session = book.begin("a stranger", "bus_identity");
  const std::uint64_t nth = strangers_++;
  const auto claimed = static_cast<bus::ReplicaId>(at.id == 1 ? 2 : 1);
  const auto say = [&](auto& writer, Result<Message> message, Deadline deadline) {
    Batch batch(1);
    if (!message) return false;
    batch.push(std::move(*message));
    return writer.send_batch(batch, deadline).has_value();
  };
  const auto greet = [&](auto& reader, auto& writer, auto binding, Deadline deadline) {
    switch (nth / nodes.size() % 4) {
      case 0: {
        // With another key. It goes on as one that was verified would.
        bus::HandshakeOptions options = handshake_of(claimed, visitors_);
        options.keys.current = bus_key(another_key);
        (void)bus::KeyedHandshake(options).dial(network, reader, writer, at.id, binding, deadline);
        return true;
      }
      case 1: {
        // With no key at all.
        auto made = MutableMessage::create(network.buffers(), Command::ping, 0);
        if (!made) return false;
        made->set_replica(claimed);
        return say(writer, std::move(*made).freeze(), deadline);
      }
      default: {
        // With the words of another one.
        const Overheard::Dial* const dial = overheard_.meant_for(at.id, nth);
        if (dial == nullptr) return false;
        const Overheard::Dial words = *dial;
        for (const bus::HandshakeFrame& frame : words) {
          if (!say(writer, bus::message_of(frame, network.buffers(), false), deadline)) return true;
          (void)reader.read_message(default_max_message, deadline);
        }
        return true;
      }
    }
  };
  const Duration patience = 5 * times.unit;
  if (tls_)
    (void)visit<Tls>(*this, network, *at.replicas, env_->dial_options<Tls>(), session, patience,
                     greet);
  else
    (void)visit<Tcp>(*this, network, *at.replicas, env_->dial_options<Tcp>(), session, patience,
                     greet);
}

bool BusCluster::mute(BusNode& at, Duration patience) {
  Network& network = env_->node("stranger");
  const Deadline deadline{network.clock().now() + patience};
  const auto until_dropped = [&](auto conn) {
    if (!conn) return true;
    auto [reader, writer] = split(std::move(*conn));
    const auto message = reader.read_message(default_max_message, deadline);
    return !message && message.error() != Errc::timed_out;
  };
  if (tls_)
    return until_dropped(Tls::dial(network, *at.replicas, env_->dial_options<Tls>(), deadline));
  return until_dropped(Tcp::dial(network, *at.replicas, env_->dial_options<Tcp>(), deadline));
}

}  // namespace twinwire::laws
