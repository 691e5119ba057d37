// SPDX-License-Identifier: Apache-2.0
#include "cli/bus_cluster.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "cli/log_file.h"
#include "cli/node_process.h"
#include "cli/ring.h"
#include "cli/run_spec.h"
#include "cli/text.h"
#include "cli/tls_options.h"
#include "cli/whole_file.h"
#include "cli/with_transport.h"
#include "real/ring_network.h"

namespace twinwire::cli {
namespace {

constexpr Duration start_patience = std::chrono::seconds(20);
constexpr Duration end_patience = std::chrono::seconds(20);
constexpr Duration look_every = std::chrono::milliseconds(10);

// Where the cluster's files are; what we have made goes with us.
class ClusterFolder {
 public:
  explicit ClusterFolder(const std::string& given) : path_(given), ours_(given.empty()) {
    std::error_code error;
    if (ours_) {
      std::string name =
          (std::filesystem::temp_directory_path(error) / "twinwire-cluster-XXXXXX").string();
      if (error || ::mkdtemp(name.data()) == nullptr)
        throw Failure(ExitCode::environment, "there can be no folder for the cluster's files");
      path_ = name;
    } else if (std::filesystem::create_directories(path_, error); error) {
      throw Failure(ExitCode::environment,
                    "cannot make the folder " + path_ + ": " + error.message());
    }
  }
  ClusterFolder(const ClusterFolder&) = delete;
  ClusterFolder& operator=(const ClusterFolder&) = delete;
  ~ClusterFolder() {
    std::error_code ignored;
    if (ours_) std::filesystem::remove_all(path_, ignored);
  }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
  bool ours_;
};

// A port that is free now, below those that the kernel gives to whoever connects.
Address free_address(real::RingNetwork& network) {
  for (int tries = 0; tries < 200; ++tries) {
    const auto port = static_cast<std::uint16_t>(10'240 + network.random().below(20'000));
    const Address address = Address::v4(127, 0, 0, 1, port);
    if (network.listen(address, {})) return address;
  }
  throw Failure(ExitCode::environment, "there is no free port for the cluster");
}

struct ClusterNode {
  unsigned id = 0;
  Address replicas;
  Address clients;
  std::unique_ptr<NodeProcess> process;
  std::string log;
  int starts = 0;
};

class Cluster {
 public:
  Cluster(const BusClusterOptions& options, const BusLoadOptions& load, real::Ring& ring)
      : options_(&options), load_(&load), network_(ring), folder_(options.folder) {
    std::string key;
    for (int i = 0; i < 4; ++i) key += hex16(network_.random().next());
    write_whole_file(folder_.file("key"), key + "\n", "key of the cluster");
    for (unsigned i = 1; i <= options.replicas; ++i) {
      nodes_.push_back({i, free_address(network_), free_address(network_), nullptr,
                        folder_.file("replica" + std::to_string(i) + ".log"), 0});
      if (std::filesystem::exists(nodes_.back().log))
        bad_usage("there is a log in " + folder_.path() + " already: give an empty folder");
    }
  }

  // In a fiber.
  template <class T>
  void run(BusLoadState& state) {
    for (ClusterNode& node : nodes_) start(node);
    for (ClusterNode& node : nodes_) await_start(node);
    std::printf("started      %zu processes, files in %s\n", nodes_.size(), folder_.path().c_str());
    std::fflush(stdout);
    TlsOptionsText trusting;
    if constexpr (requires(typename T::Options options) { options.tls; })
      trusting.self_signed = true;
    run_scope(scheduler(), [&](Scope& scope) {
      if (options_->kill_each) scope.spawn("killer", [&] { kill_each(state); });
      scope.spawn("clients", [&] {
        run_bus_clients<T>(network_, nodes_.front().clients, dial_options<T>(trusting), *load_,
                           state);
        clients_over_ = true;
      });
    });
  }

  // Waits until all have the same, stops them, and looks that they ended well.
  void stop() {
    await_equal();
    for (ClusterNode& node : nodes_) node.process->terminate();
    for (ClusterNode& node : nodes_) {
      const TimePoint until = real_now() + end_patience;
      while (!node.process->ended()) {
        if (real_now() >= until)
          throw Failure(ExitCode::no_progress,
                        "replica " + std::to_string(node.id) + " does not end after SIGTERM");
        (void)scheduler().sleep_for(look_every);
      }
      if (*node.process->ended() != 0) throw_death(node);
    }
  }

  ExitCode compare(const BusLoadState& state) const;
  Scheduler& scheduler() noexcept { return network_.scheduler(); }

 private:
  void start(ClusterNode& node) {
    std::vector<std::string> arguments{"serve", "--bus", "--replica", std::to_string(node.id)};
    const auto add = [&](const std::string& option, const std::string& value) {
      arguments.push_back(option);
      arguments.push_back(value);
    };
    for (const ClusterNode& one : nodes_)
      add("--member", std::to_string(one.id) + "=" + to_string(one.replicas));
    add("--clients", options_->transport + "=" + to_string(node.clients));
    if (transport_encrypts_clients()) arguments.emplace_back("--self-signed");
    add("--log", node.log);
    add("--cluster-key", folder_.file("key"));
    add("--redial-every", "250ms");
    node.process = std::make_unique<NodeProcess>(
        arguments, folder_.file("replica" + std::to_string(node.id) + ".out"));
    ++node.starts;
  }
  bool transport_encrypts_clients() const {
    return laws::transport_encrypts(transport_named(options_->transport));
  }

  // Until it says so for the last time that it was started.
  void await_start(ClusterNode& node) {
    const TimePoint until = real_now() + start_patience;
    for (;;) {
      if (node.process->ended()) throw_death(node);
      const std::string said = node.process->said();
      int times = 0;
      for (std::size_t at = 0; (at = said.find("replicas over", at)) != std::string::npos; ++at)
        ++times;
      if (times >= node.starts) return;
      if (real_now() >= until)
        throw Failure(ExitCode::no_progress,
                      "replica " + std::to_string(node.id) + " does not come up");
      (void)scheduler().sleep_for(look_every);
    }
  }

  [[noreturn]] void throw_death(ClusterNode& node) {
    std::string said = node.process->said();
    while (!said.empty() && said.back() == '\n') said.pop_back();
    const std::size_t line = said.rfind('\n');
    throw Failure(ExitCode::environment, "replica " + std::to_string(node.id) + " ended with " +
                                             std::to_string(node.process->ended().value_or(-1)) +
                                             ": " +
                                             said.substr(line == std::string::npos ? 0 : line + 1));
  }

  void await_more(BusLoadState& state, std::uint64_t more, const std::string& when) {
    const std::uint64_t enough = state.acknowledged + more;
    const TimePoint until = real_now() + load_->patience;
    while (state.acknowledged < enough && !clients_over_) {
      for (ClusterNode& node : nodes_)
        if (node.process && node.process->ended() && !node_is_down_) throw_death(node);
      if (real_now() >= until)
        throw Failure(ExitCode::no_progress, "nothing more is acknowledged " + when);
      (void)scheduler().sleep_for(look_every);
    }
  }

  void kill_each(BusLoadState& state) {
    struct Stop {
      ~Stop() { state->stop = true; }
      BusLoadState* state;
    } const at_end{&state};
    const std::uint64_t some = options_->between;
    for (ClusterNode& node : nodes_) {
      const std::string name = "replica " + std::to_string(node.id);
      const bool is_primary = &node == &nodes_.front();
      const bool all_wait = is_primary || nodes_.size() < 3;  // without it there is no majority
      await_more(state, some, "before " + name + " is killed");
      const std::uint64_t before = state.acknowledged;
      node_is_down_ = true;
      node.process->kill();
      if (all_wait)
        (void)scheduler().sleep_for(std::chrono::milliseconds(200));
      else
        await_more(state, some, "while " + name + " is down");
      const std::uint64_t meanwhile = state.acknowledged - before;
      start(node);
      node_is_down_ = false;
      await_start(node);
      await_more(state, some, "after " + name + " came back");
      std::printf("killed       %s%s, with %s acknowledged; %s more until it was started again\n",
                  name.c_str(), is_primary ? ", the primary" : "", with_commas(before).c_str(),
                  with_commas(meanwhile).c_str());
      std::fflush(stdout);
    }
  }

  void await_equal() {
    const TimePoint until = real_now() + end_patience;
    const auto size_of = [](const ClusterNode& node) {
      std::error_code error;
      return std::filesystem::file_size(node.log, error);
    };
    while (real_now() < until && !std::ranges::all_of(nodes_, [&](const ClusterNode& node) {
             return size_of(node) == size_of(nodes_.front());
           }))
      (void)scheduler().sleep_for(look_every);
  }

  const BusClusterOptions* options_;
  const BusLoadOptions* load_;
  real::RingNetwork network_;
  ClusterFolder folder_;
  std::vector<ClusterNode> nodes_;
  bool node_is_down_ = false;
  bool clients_over_ = false;
};

// What was acknowledged, against what stands in the files.
ExitCode Cluster::compare(const BusLoadState& state) const {
  std::vector<std::vector<LogFileEntry>> logs;
  logs.reserve(nodes_.size());
  for (const ClusterNode& node : nodes_) logs.push_back(read_log_file(node.log));
  std::vector<std::string> wrong;
  const auto check = [&](bool ok, const std::string& sentence) {
    if (!ok) wrong.push_back(sentence);
  };
  const auto longest =
      std::ranges::max_element(logs, {}, [](const auto& log) { return log.size(); });
  for (std::size_t i = 0; i < logs.size(); ++i) {
    std::size_t n = 0;
    while (n < logs[i].size() && logs[i][n].checksum == (*longest)[n].checksum) ++n;
    check(n == logs[i].size(), "the log of replica " + std::to_string(i + 1) +
                                   " differs at entry " + std::to_string(n + 1));
  }
  // Of each client: request 1 to the last that was acknowledged, once, in order; and what is in doubt, if at all.
  std::vector<std::uint64_t> seen(state.results.size());
  std::vector<std::uint64_t> copies_of(logs.size() + 1);
  std::uint64_t applied = 0;
  std::uint64_t beyond = 0;
  for (std::size_t op = 0; op < longest->size(); ++op) {
    const LogFileEntry& entry = (*longest)[op];
    if (!entry.is_request) continue;
    const std::uint64_t client = entry.client - load_->first_client;
    if (client >= seen.size()) {
      check(false, "entry " + std::to_string(op + 1) + " is of nobody who asked");
      continue;
    }
    check(entry.number == seen[client] + 1,
          "request " + std::to_string(entry.number) + " of client " + std::to_string(client + 1) +
              " stands where number " + std::to_string(seen[client] + 1) + " is due");
    seen[client] = entry.number;
    if (entry.number > state.results[client].acknowledged) {
      ++beyond;
      continue;
    }
    ++applied;
    const auto copies = static_cast<std::size_t>(
        std::ranges::count_if(logs, [&](const auto& log) { return log.size() > op; }));
    ++copies_of[copies];
    check(copies > logs.size() / 2, "entry " + std::to_string(op + 1) +
                                        " was acknowledged, and stands on " +
                                        std::to_string(copies) + " replicas");
  }
  check(applied == state.acknowledged, with_commas(state.acknowledged) +
                                           " requests were acknowledged, and " +
                                           with_commas(applied) + " of them stand in the log");
  std::printf("in the logs  %s of the acknowledged requests, each once and in order:",
              with_commas(applied).c_str());
  for (std::size_t copies = logs.size(); copies > 0; --copies)
    if (copies_of[copies] != 0 || copies == logs.size())
      std::printf(" %s on %zu replicas", with_commas(copies_of[copies]).c_str(), copies);
  std::printf("; %s that nobody was told of\n", with_commas(beyond).c_str());
  for (std::size_t i = 0; i < std::min<std::size_t>(wrong.size(), 5); ++i)
    std::fprintf(stderr, "twinwire: %s\n", wrong[i].c_str());
  if (wrong.empty()) std::printf("acknowledged == applied on a majority, exactly once\n");
  return wrong.empty() ? ExitCode::pass : ExitCode::law_broken;
}

}  // namespace

ExitCode run_bus_cluster(const BusClusterOptions& options, BusLoadOptions load) {
  const std::size_t transport = transport_named(options.transport);
  const auto ring = open_ring();
  load.first_client = ring->random().next() >> 1;
  if (options.kill_each) load.messages = UINT64_MAX / 2;
  Cluster cluster(options, load, *ring);
  BusLoadState state;
  ExitCode code = ExitCode::pass;
  const TimePoint start = real_now();
  with_transport(transport, [&]<class T>() {
    Scope root(ring->scheduler());
    root.spawn("cluster", [&] {
      cluster.run<T>(state);
      code = print_bus_load(state, real_now() - start);
      cluster.stop();
    });
    (void)ring->scheduler().run();
    root.rethrow_failure();
  });
  return graver(code, cluster.compare(state));
}

}  // namespace twinwire::cli
