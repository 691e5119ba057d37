// SPDX-License-Identifier: Apache-2.0
// LogCluster: the nodes of the scenario `log`, and their programs: a replica of the log on the node's disk, above a
// bus. Apart from the transport of the clients: log_cluster.cc.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "props/laws/disk_storage.h"
#include "props/laws/env.h"
#include "props/laws/log_book.h"
#include "transport/bus/handshake/handshake.h"
#include "transport/log/replica.h"

namespace twinwire::laws {

struct LogNode {
  LogNode(Scheduler& scheduler, bus::ReplicaId i)
      : id(i), name("r" + std::to_string(i)), stop(scheduler) {}

  bus::ReplicaId id;
  std::string name;
  std::optional<Address> replicas;  // where it listens, in every incarnation
  std::optional<Address> clients;
  log::Replica* replica = nullptr;  // while it is up
  Event stop;                       // asks its program to end
  DiskFailures failures;
  std::uint64_t bytes_written = 0;  // to its disk, in all incarnations; what is cut counts no more
};

class LogCluster {
 public:
  // Opens the client plane of a bus; the address has a port of 0, or the one of before.
  using OpenClients = std::function<Result<Address>(bus::Bus&, const Address&)>;

  LogCluster(Env& env, OpenClients open_clients);

  // Runs the program of that node until it was asked to stop; again, whenever a fault has ended it.
  void run(LogNode& node);
  // Until every node has everything, and has applied it. Law: log_delivered.
  void await_caught_up(TimePoint until);
  void judge_end();
  // There is room for fewer sessions than clients may have: some are forgotten.
  bool forgets_sessions() const noexcept { return sessions_max_ < 10; }

  Scheduler& scheduler() noexcept { return *scheduler_; }
  TimePoint now() noexcept { return env_->node("main").clock().now(); }
  Judge& judge() noexcept { return env_->judge(); }

  std::vector<std::unique_ptr<LogNode>> nodes;
  std::unique_ptr<LogBook> book;
  Event all_listen;
  // A second in the World, less on the Ring, where it passes for real.
  Duration unit = std::chrono::seconds(1);

 private:
  class App;
  enum class Life : std::uint8_t { over, again };
  Life live(LogNode& node, Network& network, sim::Disk::File file);
  Life serve(LogNode& node, Network& network, log::Replica& replica);
  bool open_planes(LogNode& node, bus::Bus& bus, const bus::KeyedHandshake& who);
  Result<Address> listen(bus::Bus& bus, const Address& address, const bus::KeyedHandshake& who);
  Result<void> join(bus::Bus& bus, const bus::KeyedHandshake& who);
  bus::BusOptions bus_options(const LogNode& node) const;
  log::LogOptions log_options(const LogNode& node) const;
  bus::HandshakeOptions handshake_options(const LogNode& node) const;
  void note_what_was_lost(LogNode& node, const DiskStorage& storage);
  void draw_failures(LogNode& node);

  Env* env_;
  Scheduler* scheduler_;
  OpenClients open_clients_;
  bool tls_;                // the plane of replicas
  std::uint64_t gaps_ = 0;  // of all incarnations
  std::uint64_t bad_ = 0;
  std::size_t queue_max_;
  std::size_t window_;
  std::size_t batch_max_;
  std::size_t cache_bytes_;
  std::size_t sessions_max_;
};

}  // namespace twinwire::laws
