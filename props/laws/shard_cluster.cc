// SPDX-License-Identifier: Apache-2.0
#include "props/laws/shard_cluster.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "sim/fabric.h"
#include "transport/bus/dealt_plane.h"
#include "transport/bus/planes.h"
#include "transport/tcp/tcp.h"

namespace twinwire::laws {
namespace {

bus::HandshakeKey shards_key() {
  bus::HandshakeKey key;
  for (std::size_t i = 0; i < key.bytes.size(); ++i)
    key.bytes[i] = static_cast<std::byte>(scramble(0x5a4d + i));
  return key;
}

// A stream of numbers of its own, so that whoever draws less leaves the others theirs.
class Numbers {
 public:
  Numbers(std::uint64_t seed, std::uint64_t which) noexcept : key_(mix(seed, which)) {}
  std::uint64_t operator()(std::uint64_t below) noexcept {
    key_ = scramble(key_ + 0x9e3779b97f4a7c15ULL);
    return key_ % below;
  }

 private:
  std::uint64_t key_;
};

// Goes to the shards of a node in turn, so that a replica comes back on another one than it had.
class DialerInTurn final : public bus::Dialer {
 public:
  DialerInTurn(std::unique_ptr<bus::Dialer> by,
               const std::vector<std::unique_ptr<ShardNode>>& nodes) noexcept
      : by_(std::move(by)), nodes_(&nodes) {}
  Result<std::unique_ptr<bus::ReplicaLink>> dial(Network& network, const Address& address,
                                                 Deadline deadline) override {
    for (const auto& node : *nodes_)
      if (node->replicas.front() == address)
        return by_->dial(network, *node->replicas[node->dials++ % node->replicas.size()], deadline);
    return by_->dial(network, address, deadline);
  }

 private:
  std::unique_ptr<bus::Dialer> by_;
  const std::vector<std::unique_ptr<ShardNode>>* nodes_;
};

}  // namespace

bool ShardNode::up() const {
  return board != nullptr &&
         std::ranges::none_of(board->apps, [](const ShardApp* app) { return app == nullptr; });
}

// What the shards of one incarnation share.
struct ShardCluster::Incarnation {
  Incarnation(Scheduler& scheduler, sim::SimShards& m) : mails(&m), all_joined(scheduler) {}
  ShardBoard board;
  bus::OwnerTable owners;
  sim::SimShards* mails;
  std::size_t joined = 0;
  Event all_joined;
};

ShardCluster::ShardCluster(Env& env, std::size_t count, OpenClients open_clients)
    : shards(1 + env.draw(3)),
      book(env.judge(), env.seed()),
      env_(&env),
      scheduler_(&env.node("main").scheduler()),
      open_clients_(std::move(open_clients)),
      all_listen_(*scheduler_) {
  if (!env.simulated()) times.unit = std::chrono::milliseconds(400);
  constexpr std::size_t queues[] = {16, 4, 256};
  queue_max = queues[env.draw(std::size(queues))];
  constexpr std::size_t lanes[] = {32, 8, 256};
  mail_max = lanes[env.draw(std::size(lanes))];
  // In some runs so long that a connection may end, and another one begin, meanwhile.
  if (env.simulated() && env.draw(3) == 1) mail_latency = std::chrono::milliseconds(20);
  pace_us_ = 10'000 + env.draw(std::uint64_t{1} << env.draw(19));
  for (std::size_t i = 1; i <= count; ++i) {
    nodes.push_back(
        std::make_unique<ShardNode>(*scheduler_, static_cast<bus::ReplicaId>(i), shards));
    (void)env.node(nodes.back()->name);
  }
}

bus::BusOptions ShardCluster::options_of(const ShardNode& node, std::uint16_t shard) const {
  bus::BusOptions options = times.options();
  options.shard = shard;
  options.shards = static_cast<std::uint16_t>(shards);
  options.replica = node.id;
  for (const auto& one : nodes) options.members.push_back(one->id);
  options.queue_max = queue_max;
  return options;
}

bus::HandshakeOptions ShardCluster::handshake_of(bus::ReplicaId id,
                                                 bus::HandshakeMemory& memory) const {
  bus::HandshakeOptions options;
  options.cluster = {.low = 0x7477696e, .high = 0x5a};
  options.id = id;
  options.keys.current = shards_key();
  options.memory = &memory;
  return options;
}

// --- A node's program ----------------------------------------------------------------------------------------------

void ShardCluster::run(ShardNode& node) {
  env_->run_node(node.name, [&](Network& network, sim::Disk::File) { live(node, network); });
  node.ended.set();
}

void ShardCluster::live(ShardNode& node, Network& network) {
  ++node.starts;
  const std::uint32_t ordinal =
      env_->simulated() ? sim::node_number(env_->bind_address(node.name)) : 0;
  sim::SimShards mails(
      *scheduler_, env_->world(), Env::key_of(node.name) + node.starts, ordinal,
      {.count = static_cast<std::uint16_t>(shards), .mail_max = mail_max, .latency = mail_latency});
  Incarnation here(*scheduler_, mails);
  here.board.apps.resize(shards);
  node.routers.assign(shards, nullptr);
  node.board = &here.board;
  node.mails = &mails;
  run_scope(*scheduler_, [&](Scope& scope) {
    for (std::size_t shard = 0; shard < shards; ++shard)
      scope.spawn(node.name + ".s" + std::to_string(shard), [&, shard] {
        live_shard(node, network, here, static_cast<std::uint16_t>(shard));
      });
  });
  node.board = nullptr;
  const bool orderly = !was_killed(network);
  if (orderly) {
    // What a connection's last fibers hold comes home soon.
    (void)await(times.unit, [&] { return mails.lent() == 0; });
    judge().check(mails.lent() == 0 && mails.on_the_way() == 0, "bus_lanes", [&] {
      return node.name + ": after the shutdown " + std::to_string(mails.lent()) +
             " messages are lent to other shards, and " + std::to_string(mails.on_the_way()) +
             " letters on their way";
    });
    for (const auto& other : nodes)
      judge().check(!here.owners.owner(other->id), "bus_owner", [&] {
        return node.name + " has no shard any more, and one that owns " + other->name;
      });
  }
  node.mails = nullptr;
  mails.close();
}

void ShardCluster::live_shard(ShardNode& node, Network& network, Incarnation& here,
                              std::uint16_t shard) {
  const std::string name = node.name + ".s" + std::to_string(shard);
  WatchedMail mail(judge(), here.mails->mail(shard));
  ShardApp app(*env_, book, network, name, times, here.board, shard, shards);
  bus::HandshakeMemory memory;
  const OverheardHandshake who(handshake_of(node.id, memory), overheard_);
  const auto insist = [&](auto&& make) {
    auto made = make();
    while (!made && scheduler_->sleep_for(std::chrono::milliseconds(10))) made = make();
    return made;
  };
  auto made = insist([&] { return bus::Bus::create(network, options_of(node, shard), app); });
  if (!made) return;
  bus::Bus& bus = **made;
  auto joined = insist(
      [&] { return bus::ShardRouter::join(bus, mail, here.owners, env_->listen_options<Tcp>()); });
  if (joined) {
    app.serve(bus);
    here.board.apps[shard] = &app;
    node.routers[shard] = joined->get();
    if (++here.joined == shards) here.all_joined.set();
    if (here.all_joined.wait(Deadline::never(), "the other shards") &&
        open_planes(node, bus, **joined, who)) {
      const auto listens = [](const auto& doors) {
        return std::ranges::all_of(doors, [](const auto& door) { return door.has_value(); });
      };
      if (std::ranges::all_of(nodes, [&](const auto& n) {
            return n->dealt && listens(n->clients) && listens(n->replicas);
          }))
        all_listen_.set();
      if (all_listen_.wait(Deadline::never(), "all nodes to listen")) {
        (void)insist([&] { return join(node, bus, who); });
        run_scope(*scheduler_, [&](Scope& scope) {
          scope.spawn(name + ".chatter", [&] { chatter(node, app, shard); });
          // Told by main, or by another shard.
          scope.spawn(name + ".stop", [&] {
            (void)node.stop.wait(Deadline::never(), "the end of the scenario");
            if (node.stop.is_set() && shard == node.tells_all) (*joined)->shut_down_all();
          });
          (void)bus.shutdown_token().wait(Deadline::never(), "the shutdown");
          scope.cancel();
        });
      }
    }
  }
  const TimePoint begun = network.clock().now();
  node.outcomes[shard] = bus.shut_down();
  node.shutdown_took = std::max(node.shutdown_took, network.clock().now() - begun);
  here.board.apps[shard] = nullptr;
  node.routers[shard] = nullptr;
  if (joined) app.judge_end();
}

// False: it was told to stop.
bool ShardCluster::open_planes(ShardNode& node, bus::Bus& bus, bus::ShardRouter& router,
                               const OverheardHandshake& who) {
  const std::uint16_t shard = bus.options().shard;
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
  return try_until_open(node.clients[shard],
                        [&](const Address& at) { return open_clients_(bus, at); }) &&
         try_until_open(node.replicas[shard],
                        [&](const Address& at) {
                          return bus::open_replica_plane<Tcp>(bus, at, env_->listen_options<Tcp>(),
                                                              who);
                        }) &&
         (shard != 0 || try_until_open(node.dealt, [&](const Address& at) {
            return bus::open_dealt_client_plane(bus, router, at);
          }));
}

Result<void> ShardCluster::join(ShardNode&, bus::Bus& bus, const OverheardHandshake& who) {
  std::vector<bus::Member> members;
  members.reserve(nodes.size());
  for (const auto& node : nodes) members.push_back({node->id, *node->replicas.front()});
  return bus.join(std::make_unique<DialerInTurn>(
                      std::make_unique<bus::detail::DialerOf<Tcp, OverheardHandshake>>(
                          env_->dial_options<Tcp>(), who),
                      nodes),
                  members);
}

void ShardCluster::chatter(ShardNode& node, ShardApp& app, std::uint16_t shard) {
  Numbers draw(env_->seed() + node.id, mix(node.starts, shard));
  constexpr std::size_t bodies[] = {0, 100, 3000, 40'000};
  while (storm) {
    const Duration pause = std::chrono::microseconds(draw(pace_us_));
    if (!scheduler_->sleep_for(pause) || !storm) return;
    const auto replica = static_cast<bus::ReplicaId>(1 + draw(nodes.size()));
    const auto& clients = node.board->clients;
    const std::uint64_t nth = draw(100);
    const auto client = clients.empty() ? std::optional<bus::ClientId>()
                                        : std::optional(clients[nth % clients.size()]);
    const std::uint64_t what = draw(100);
    const BusAsk ask = what < 20   ? BusAsk::echo
                       : what < 22 ? BusAsk::fail
                       : what < 24 ? BusAsk::doze
                                   : BusAsk::nothing;
    const bool to_client = client && draw(2) == 0;
    // Whoever has it: often another shard is just saying something to that peer.
    if (what >= 97 && to_client) app.bus().disconnect(*client);
    if (what == 96) app.bus().disconnect(replica);
    const std::uint64_t burst = draw(16) == 0 ? draw(2 * queue_max + mail_max) : 1;
    for (std::uint64_t n = burst; n > 0; --n) {
      const std::size_t body = bodies[draw(n > 8 ? 2 : std::size(bodies))];
      if (to_client)
        (void)app.say(*client, body);
      else if (replica != node.id)
        (void)app.say(replica, body, n == 1 ? ask : BusAsk::nothing);
    }
  }
}

// --- What main does ------------------------------------------------------------------------------------------------

bool ShardCluster::whole() const {
  return std::ranges::all_of(nodes, [&](const auto& node) {
    if (!node->up()) return false;
    std::size_t connected = 0;
    for (ShardApp* const app : node->board->apps) connected += app->bus().replicas();
    return connected + 1 == nodes.size();
  });
}

void ShardCluster::await_whole(Duration bound, std::string_view after) {
  const bool came = await(bound, [&] { return whole(); });
  judge().check(came, "bus_mesh", [&] {
    std::string text = "the mesh is not whole again in time after " + std::string(after) + ":";
    for (const auto& node : nodes) {
      text += " " + node->name + " has";
      for (std::size_t shard = 0; shard < shards; ++shard)
        text += node->up() ? " " + std::to_string(node->app(shard).bus().replicas()) : " no bus";
    }
    return text;
  });
}

void ShardCluster::renew() {
  for (const auto& from : nodes)
    for (const auto& to : nodes)
      for (std::size_t shard = 0; from->up() && shard < shards; ++shard)
        if (from->id < to->id) from->app(shard).bus().disconnect(to->id);
  (void)scheduler_->sleep_for(times.unit / 10);
}

void ShardCluster::await_heard(Duration bound) {
  const bool heard = await(bound, [&] {
    if (!whole()) return false;
    for (const auto& from : nodes)
      for (const auto& to : nodes)
        for (std::size_t shard = 0; shard < shards; ++shard)
          if (from != to) (void)from->app(shard).say(to->id, 100);
    return await(times.unit / 5, [&] { return whole() && idle(); });
  });
  judge().check(heard, "bus_mesh", "long after the faults a replica does not hear another");
}

bool ShardCluster::idle() const {
  for (const auto& node : nodes) {
    if (node->board == nullptr) continue;
    for (const ShardApp* app : node->board->apps)
      if (app != nullptr && !app->idle()) return false;
  }
  return true;
}

std::uint64_t ShardCluster::replicas_lost() const {
  std::uint64_t lost = 0;
  for (const auto& node : nodes) {
    if (node->board == nullptr) continue;
    for (const ShardApp* app : node->board->apps) lost += app == nullptr ? 0 : app->replicas_lost();
  }
  return lost;
}

void ShardCluster::judge_left(std::string_view after) {
  for (const auto& node : nodes)
    for (std::size_t shard = 0; node->up() && shard < shards; ++shard) {
      const bus::Bus& bus = node->app(shard).bus();
      judge().check(bus.connections_alive() == bus.clients() + bus.replicas(), "bus_left", [&] {
        return "after " + std::string(after) + " " + node->app(shard).name() + " serves " +
               std::to_string(bus.connections_alive()) + " connections, of which " +
               std::to_string(bus.clients() + bus.replicas()) + " have a place";
      });
    }
}

void ShardCluster::judge_dials() {
  for (const auto& node : nodes)
    for (std::size_t shard = 0; node->up() && shard < shards; ++shard) {
      const bool may_dial = std::ranges::any_of(nodes, [&](const auto& other) {
        return other->id > node->id && other->id % shards == shard;
      });
      judge().check(may_dial || node->app(shard).bus().counters().dials == 0, "bus_duplicate", [&] {
        return node->app(shard).name() + " has dialed a replica that another shard is to dial";
      });
    }
}

void ShardCluster::sleeper(ShardNode& at, std::size_t shard, bus::ReplicaId as, Duration stays) {
  Network& network = env_->node("twin");
  const Deadline deadline = network.clock().in(stays);
  auto conn = Tcp::dial(network, *at.replicas[shard], env_->dial_options<Tcp>(), deadline);
  if (!conn) return;
  auto [reader, writer] = split(std::move(*conn));
  const bus::KeyedHandshake who(handshake_of(as, visitors_));
  if (!who.dial(network, reader, writer, at.id, {}, deadline)) return;
  BusBook::Hearing hearing;
  hearing.sessions_max = shards + 1;
  while (auto message = reader.read_message(default_max_message, deadline))
    if (message->header().command() != Command::reserved) book.heard(hearing, *message);
}

std::optional<Duration> ShardCluster::twin(ShardNode& at, std::size_t shard, bus::ReplicaId as) {
  Network& network = env_->node("twin");
  const Deadline deadline = network.clock().in(5 * times.unit);
  auto conn = Tcp::dial(network, *at.replicas[shard], env_->dial_options<Tcp>(), deadline);
  if (!conn) return std::nullopt;
  auto [reader, writer] = split(std::move(*conn));
  const bus::KeyedHandshake who(handshake_of(as, visitors_));
  if (!who.dial(network, reader, writer, at.id, {}, deadline)) return std::nullopt;
  const TimePoint begun = network.clock().now();
  const auto session = book.begin("a second r" + std::to_string(as), "bus_duplicate");
  Batch batch(1);
  auto made = book.make(network.buffers(), Command::prepare, session, 100, BusAsk::nothing);
  if (made) {
    book.queued(session);
    batch.push(std::move(*made));
    (void)writer.send_batch(batch, deadline);
  }
  for (;;) {
    const auto message = reader.read_message(default_max_message, deadline);
    if (message) continue;
    if (message.error() == Errc::timed_out || message.error() == Errc::canceled)
      return std::nullopt;
    return network.clock().now() - begun;
  }
}

}  // namespace twinwire::laws
