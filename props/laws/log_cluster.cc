// SPDX-License-Identifier: Apache-2.0
#include "props/laws/log_cluster.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "transport/bus/planes.h"
#include "transport/tcp/tcp.h"
#include "transport/tls/tls.h"

namespace twinwire::laws {

class LogCluster::App final : public log::Application {
 public:
  App(LogCluster& cluster, const LogNode& node) : cluster_(&cluster), node_(&node) {
    applier_.replica = node.id - 1U;
  }
  void apply(log::Op op, std::span<const std::byte> body, std::vector<std::byte>& answer) override {
    cluster_->book->applied(applier_, op, body);
    tally_.add(op, body);
    answer.resize(8);
    store(answer.data(), tally_.sum());
  }
  void on_note(const std::string& sentence) noexcept override {
    cluster_->env_->tell(node_->name, [&] { return sentence; });
  }
  void on_refused(bus::Plane, const Address&, std::string_view what, Error why) noexcept override {
    cluster_->env_->tell(
        node_->name, [&] { return "refuses: " + std::string(what) + " (" + to_string(why) + ")"; });
  }

 private:
  LogCluster* cluster_;
  const LogNode* node_;
  LogTally tally_;
  LogBook::Applier applier_;
};

LogCluster::LogCluster(Env& env, OpenClients open_clients)
    : all_listen(env.node("main").scheduler()),
      env_(&env),
      scheduler_(&env.node("main").scheduler()),
      open_clients_(std::move(open_clients)),
      tls_(env.draw(4) == 1) {
  if (!env.simulated()) unit = std::chrono::milliseconds(400);
  constexpr std::size_t queues[] = {64, 8, 256};
  queue_max_ = queues[env.draw(std::size(queues))];
  constexpr std::size_t windows[] = {4, 1, 32, 128};
  window_ = windows[env.draw(std::size(windows))];
  batch_max_ = 1 + env.draw(16);
  cache_bytes_ = env.draw(2) == 0 ? 2000 : 1 << 20;
  const std::size_t count = env.draw(4) == 1 ? 5 : 3;
  std::vector<const sim::Disk*> disks;
  for (std::size_t i = 1; i <= count; ++i) {
    nodes.push_back(std::make_unique<LogNode>(*scheduler_, static_cast<bus::ReplicaId>(i)));
    (void)env.node(nodes.back()->name);
    disks.push_back(&env.disk(nodes.back()->name));
    draw_failures(*nodes.back());
  }
  sessions_max_ = env.draw(8) == 1 ? 2 : 10'000;
  // Otherwise a client may be forgotten, again and again, before the entry that made it known is read and applied.
  if (forgets_sessions())
    for (const auto& node : nodes) node->failures.reads_until_slow = 0;
  book = std::make_unique<LogBook>(env.judge(), std::move(disks));
}

// A disk that fails is a fault as others are: in some runs, one after some time. On the Ring nothing goes wrong.
void LogCluster::draw_failures(LogNode& node) {
  const std::uint64_t what = env_->draw(12);
  const std::uint64_t after = env_->draw(60);
  if (!env_->simulated()) return;
  if (what == 1) node.failures.syncs_until_failure = after;
  if (what % 4 != 1) node.failures.reads_until_slow = 10 + after;
  if (what == 2) node.failures.appends_until_full = after;
}

bus::BusOptions LogCluster::bus_options(const LogNode& node) const {
  bus::BusOptions options;
  options.replica = node.id;
  for (const auto& one : nodes) options.members.push_back(one->id);
  options.queue_max = queue_max_;
  options.send_limit = 10 * unit;
  options.handshake_limit = 10 * unit;
  options.connect_limit = 3 * unit;
  options.redial_every = unit;
  options.redial_jitter = unit / 5;
  options.heartbeat_every = unit;
  options.silence_max = 5 * unit;
  options.drain_limit = 2 * unit;
  return options;
}

log::LogOptions LogCluster::log_options(const LogNode& node) const {
  log::LogOptions options;
  options.cluster = {env_->seed(), 0x106};
  options.replica = node.id;
  for (const auto& one : nodes) options.members.push_back(one->id);
  options.window = window_;
  options.batch_max = batch_max_;
  options.cache_bytes = cache_bytes_;
  options.uncommitted_max = 64;
  options.sessions_max = sessions_max_;
  return options;
}

bus::HandshakeOptions LogCluster::handshake_options(const LogNode& node) const {
  bus::HandshakeOptions options;
  options.cluster = {env_->seed(), 0x106};
  options.id = node.id;
  options.keys.current.bytes.fill(static_cast<std::byte>(env_->seed() | 1));
  options.channel_needed = tls_;
  return options;
}

// --- A node's program ----------------------------------------------------------------------------------------------

void LogCluster::run(LogNode& node) {
  env_->run_node(node.name, [&](Network& network, sim::Disk::File file) {
    // Where its storage has failed, whoever runs the program starts it again.
    while (live(node, network, file) == Life::again && scheduler_->sleep_for(unit / 2)) {}
  });
}

LogCluster::Life LogCluster::live(LogNode& node, Network& network, sim::Disk::File file) {
  DiskStorage storage(file, *scheduler_, node.failures);
  note_what_was_lost(node, storage);
  App app(*this, node);
  log::Replica replica(network, storage, app, log_options(node));
  std::string why;
  const auto recovered = replica.recover(why);
  const auto gone_on = [&] {
    node.bytes_written = storage.size();
    return scheduler_->cancel_pending() ? Life::over : Life::again;
  };
  if (!recovered) {
    judge().check(storage.has_failed() || recovered.error() == Errc::canceled, "log_recovers",
                  [&] { return node.name + " does not start: " + why; });
    return gone_on();
  }
  book->look();
  const Life life = serve(node, network, replica);
  gaps_ += replica.counters().gaps;
  bad_ += replica.counters().bad;
  // It was killed: what it wrote counts, for the next one to see what of that is left.
  node.bytes_written = storage.size();
  judge().check(replica.problem().empty() || storage.has_failed(), "log_prefix",
                [&] { return node.name + " cannot go on: " + replica.problem(); });
  return life;
}

void LogCluster::note_what_was_lost(LogNode& node, const DiskStorage& storage) {
  if (storage.size() < node.bytes_written && node.id != nodes.front()->id)
    env_->reached(Sometimes::log_unsynced_lost);
}

LogCluster::Life LogCluster::serve(LogNode& node, Network& network, log::Replica& replica) {
  bus::HandshakeMemory memory;
  bus::HandshakeOptions options = handshake_options(node);
  options.memory = &memory;
  const bus::KeyedHandshake who(options);
  Result<std::unique_ptr<bus::Bus>> made = Errc::no_resources;
  while (!made) {
    made = bus::Bus::create(network, bus_options(node), replica);
    if (!made && !scheduler_->sleep_for(std::chrono::milliseconds(10))) return Life::over;
  }
  bus::Bus& bus = **made;
  if (replica.start(bus) && open_planes(node, bus, who)) {
    if (std::ranges::all_of(nodes, [](const auto& n) { return n->replicas && n->clients; }))
      all_listen.set();
    if (all_listen.wait(Deadline::never(), "all nodes to listen")) {
      while (!join(bus, who) && scheduler_->sleep_for(std::chrono::milliseconds(10))) {}
      node.replica = &replica;
      FiberHandle failing;
      run_scope(*scheduler_, [&](Scope& scope) {
        failing = scope.spawn(node.name + ".failed", [&] {
          (void)replica.failed().wait(Deadline::never(), "its failure");
          if (replica.failed().is_set()) scope.cancel();
        });
        scope.spawn(node.name + ".stop", [&] {
          if (node.stop.wait(Deadline::never(), "the end of the scenario"))
            scheduler_->cancel(failing);
        });
      });
      node.replica = nullptr;
    }
  }
  const bus::ShutdownOutcome outcome = bus.shut_down();
  judge().check(outcome.background_forced == 0 || scheduler_->cancel_pending(), "log_left", [&] {
    return node.name + ": " + std::to_string(outcome.background_forced) +
           " fibers of the log went on after the shutdown began";
  });
  judge().check(bus.connections_alive() == 0 && bus.clients() == 0 && bus.replicas() == 0,
                "log_left", [&] { return node.name + ": something is left after the shutdown"; });
  return node.stop.is_set() || scheduler_->cancel_pending() ? Life::over : Life::again;
}

// False: it was told to stop.
bool LogCluster::open_planes(LogNode& node, bus::Bus& bus, const bus::KeyedHandshake& who) {
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

Result<Address> LogCluster::listen(bus::Bus& bus, const Address& address,
                                   const bus::KeyedHandshake& who) {
  if (tls_) return bus::open_replica_plane<Tls>(bus, address, env_->listen_options<Tls>(), who);
  return bus::open_replica_plane<Tcp>(bus, address, env_->listen_options<Tcp>(), who);
}

Result<void> LogCluster::join(bus::Bus& bus, const bus::KeyedHandshake& who) {
  std::vector<bus::Member> members;
  members.reserve(nodes.size());
  for (const auto& node : nodes) members.push_back({node->id, *node->replicas});
  if (tls_) return bus::join_mesh<Tls>(bus, members, env_->dial_options<Tls>(), who);
  return bus::join_mesh<Tcp>(bus, members, env_->dial_options<Tcp>(), who);
}

// --- What main does ------------------------------------------------------------------------------------------------

void LogCluster::await_caught_up(TimePoint until) {
  const auto caught_up = [&] {
    const log::Replica* const primary = nodes.front()->replica;
    return primary != nullptr && std::ranges::all_of(nodes, [&](const auto& node) {
             return node->replica != nullptr && node->replica->last() == primary->last() &&
                    node->replica->applied() == primary->last();
           });
  };
  while (!caught_up() && now() < until && scheduler_->sleep_for(unit / 20)) {}
  book->look();
  judge().check(caught_up(), "log_delivered", [&] {
    std::string text = "long after the last fault not every replica has everything:";
    for (const auto& node : nodes)
      text +=
          " " + node->name + " " +
          (node->replica == nullptr ? std::string("is down")
                                    : "has " + std::to_string(node->replica->last()) +
                                          ", applied " + std::to_string(node->replica->applied()));
    return text;
  });
}

void LogCluster::judge_end() {
  book->look();
  for (std::size_t i = 1; i < nodes.size(); ++i)
    judge().check(book->synced(i) == book->synced(0), "log_delivered", [&] {
      return "at the end " + nodes[i]->name + " has " + std::to_string(book->synced(i)) +
             " entries on its disk, and the primary " + std::to_string(book->synced(0));
    });
  // A connection brings what was sent over it in its order, so neither can be.
  judge().check(gaps_ == 0 && bad_ == 0, "log_gap", [&] {
    return std::to_string(gaps_) + " entries came to a backup too early, and " +
           std::to_string(bad_) + " messages were none that may be";
  });
}

}  // namespace twinwire::laws
