// SPDX-License-Identifier: Apache-2.0
#include "cli/bus_cluster.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "cli/cluster_verdict.h"
#include "cli/endpoint.h"
#include "cli/log_file.h"
#include "cli/node_process.h"
#include "cli/ring.h"
#include "cli/run_spec.h"
#include "cli/text.h"
#include "cli/tls_options.h"
#include "cli/whole_file.h"
#include "cli/with_transport.h"
#include "real/ring_network.h"
#include "real/signal_wait.h"
#include "transport/net/write_all.h"

namespace twinwire::cli {
namespace {

constexpr Duration start_patience = std::chrono::seconds(20);
constexpr Duration end_patience = std::chrono::seconds(20);
constexpr Duration ask_patience = std::chrono::seconds(5);
constexpr Duration look_every = std::chrono::milliseconds(10);

// What it says of a cluster that one of its replicas has ended so, unasked. Whether that is what the whole is to find
// comes first: a law that the replica itself has found broken, or its log, damaged by a kill.
ExitCode meaning_of_end(int code) noexcept {
  if (code >= 128) return ExitCode::crash;
  if (code == static_cast<int>(ExitCode::no_progress)) return ExitCode::no_progress;
  if (code <= 0 || code == static_cast<int>(ExitCode::environment) || code == 127)
    return ExitCode::environment;
  return ExitCode::law_broken;
}

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

// The number of that metric.
std::optional<std::uint64_t> metric_in(const std::string& text, const std::string& name) {
  const std::string line = "\n" + name + " ";
  const std::size_t at = text.find(line);
  if (at == std::string::npos) return std::nullopt;
  return std::strtoull(text.c_str() + at + line.size(), nullptr, 10);
}

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
  Endpoint metrics;
  int starts = 0;
};

class Cluster {
 public:
  Cluster(const BusClusterOptions& options, const BusLoadOptions& load, real::Ring& ring)
      : options_(&options), load_(&load), networks_(ring), network_(ring), folder_(options.folder) {
    const std::string ours = "unix:@twinwire-cluster-" + hex16(network_.random().next()) + "-";
    // Before anything is written: what is there already is somebody's, the files of an earlier cluster perhaps.
    require_nothing_at("key");
    for (unsigned i = 1; i <= options.replicas; ++i) {
      const std::string name = "replica" + std::to_string(i);
      require_nothing_at(name + ".log");
      require_nothing_at(name + ".out");
      nodes_.push_back({i, free_address(network_), free_address(network_), nullptr,
                        folder_.file(name + ".log"), parse_endpoint(ours + name, true), 0});
    }
    std::string key;
    for (int i = 0; i < 4; ++i) key += hex16(network_.random().next());
    write_new_secret(folder_.file("key"), key + "\n", "key of the cluster");
  }

  // Of SIGINT and SIGTERM the first ends the load, and then all the rest in order; the second does not wait for that.
  // In a fiber, until it is canceled.
  void obey(real::SignalWait& signals, BusLoadState& state) {
    while (signals.wait(Deadline::never())) {
      if (++told_ == 1 && !clients_over_) cut_short_ = true;
      state.stop = true;
    }
  }

  // In a fiber.
  template <class T>
  void run(BusLoadState& state) {
    for (ClusterNode& node : nodes_) start(node);
    for (ClusterNode& node : nodes_) await_start(node);
    if (told_ != 0) throw Failure(ExitCode::environment, "told to stop before anything was asked");
    std::printf("started      %zu processes, files in %s\n", nodes_.size(), folder_.path().c_str());
    std::fflush(stdout);
    TlsOptionsText trusting;
    if constexpr (requires(typename T::Options options) { options.tls; })
      trusting.self_signed = true;
    run_scope(scheduler(), [&](Scope& scope) {
      if (options_->kill_each) scope.spawn("killer", [&] { kill_each(state); });
      scope.spawn("hurry", [&] {
        while (!clients_over_) pause();
      });
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
    await_applied();
    for (ClusterNode& node : nodes_) node.process->terminate();
    for (ClusterNode& node : nodes_) {
      const TimePoint until = real_now() + end_patience;
      while (!node.process->ended()) {
        if (real_now() >= until)
          throw Failure(ExitCode::no_progress,
                        "replica " + std::to_string(node.id) + " does not end after SIGTERM");
        pause();
      }
      if (*node.process->ended() != 0) throw_death(node);
    }
  }

  // Where stop() was not reached.
  void kill_all() noexcept {
    for (ClusterNode& node : nodes_)
      if (node.process) (void)node.process->kill();
  }

  ExitCode compare(const BusLoadState& state, bool settled) const;
  // Whether each was killed that was to be, and the clients were not told to stop.
  bool did_all() const noexcept { return !cut_short_; }
  bool told_to_stop() const noexcept { return told_ != 0; }
  Scheduler& scheduler() noexcept { return network_.scheduler(); }

 private:
  void require_nothing_at(const std::string& name) const {
    std::error_code error;
    const auto what = std::filesystem::symlink_status(folder_.file(name), error).type();
    if (what != std::filesystem::file_type::not_found)
      bad_usage("there is a " + name + " in " + folder_.path() + " already: give an empty folder");
  }
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
    add("--metrics", node.metrics.text);
    node.process = std::make_unique<NodeProcess>(
        arguments, folder_.file("replica" + std::to_string(node.id) + ".out"));
    ++node.starts;
  }
  bool transport_encrypts_clients() const {
    return laws::transport_encrypts(transport_named(options_->transport));
  }

  // Between two looks at what does not wake anybody.
  void pause() {
    if (!scheduler().sleep_for(look_every))  // another fiber has failed, and says why
      throw Failure(ExitCode::environment, "given up");
    if (told_ > 1) throw Failure(ExitCode::environment, "told to stop, and then to stop at once");
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
      pause();
    }
  }

  // Nobody ends but whom we kill.
  void look_for_deaths(const ClusterNode* killed = nullptr) {
    for (ClusterNode& node : nodes_)
      if (&node != killed && node.process && node.process->ended()) throw_death(node);
  }

  [[noreturn]] void throw_death(ClusterNode& node) {
    std::string said = node.process->said();
    while (!said.empty() && said.back() == '\n') said.pop_back();
    const std::size_t line = said.rfind('\n');
    const int code = node.process->ended().value_or(-1);
    throw Failure(meaning_of_end(code), "replica " + std::to_string(node.id) + " ended with " +
                                            std::to_string(code) + ": " +
                                            said.substr(line == std::string::npos ? 0 : line + 1));
  }

  void await_more(BusLoadState& state, std::uint64_t more, const std::string& when) {
    const std::uint64_t enough = state.acknowledged + more;
    const TimePoint until = real_now() + load_->patience;
    while (state.acknowledged < enough && !clients_over_ && told_ == 0) {
      look_for_deaths(down_);
      if (real_now() >= until)
        throw Failure(ExitCode::no_progress, "nothing more is acknowledged " + when);
      pause();
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
      if (told_ != 0) return;
      if (clients_over_) {
        cut_short_ = true;
        std::fprintf(stderr, "twinwire: the clients ended before %s was killed\n", name.c_str());
        return;
      }
      const std::uint64_t before = state.acknowledged;
      down_ = &node;
      if (node.process->kill() != 128 + SIGKILL) throw_death(node);  // it had ended by itself
      if (all_wait)
        (void)scheduler().sleep_for(std::chrono::milliseconds(200));
      else
        await_more(state, some, "while " + name + " is down");
      const std::uint64_t meanwhile = state.acknowledged - before;
      start(node);
      down_ = nullptr;
      await_start(node);
      await_more(state, some, "after " + name + " came back");
      std::printf("killed       %s%s, with %s acknowledged; %s more until it was started again\n",
                  name.c_str(), is_primary ? ", the primary" : "", with_commas(before).c_str(),
                  with_commas(meanwhile).c_str());
      std::fflush(stdout);
    }
  }

  // For as long as something is still written.
  void await_equal() {
    const auto size_of = [](const ClusterNode& node) {
      std::error_code error;
      return std::filesystem::file_size(node.log, error);
    };
    std::vector<std::uintmax_t> before;
    TimePoint until{};
    for (;;) {
      std::vector<std::uintmax_t> sizes;
      sizes.reserve(nodes_.size());
      for (const ClusterNode& node : nodes_) sizes.push_back(size_of(node));
      const auto other =
          std::ranges::find_if(sizes, [&](auto size) { return size != sizes.front(); });
      if (other == sizes.end()) return;
      look_for_deaths();
      if (sizes != before) until = real_now() + load_->patience;
      if (real_now() >= until)
        throw Failure(ExitCode::no_progress,
                      "replica " + std::to_string(other - sizes.begin() + 1) +
                          " does not catch up: its log has " + with_commas(*other) +
                          " bytes, and that of the primary " + with_commas(sizes.front()));
      before = std::move(sizes);
      pause();
    }
  }

  // Until every replica has applied all that the primary's log has, so that each tally at the end is one of all.
  void await_applied() {
    const TimePoint until = real_now() + load_->patience;
    for (;;) {
      const auto last = ask(nodes_.front(), "twinwire_log_last_entry");
      const ClusterNode* behind = nullptr;
      std::optional<std::uint64_t> applied;
      for (ClusterNode& node : nodes_) {
        applied = ask(node, "twinwire_log_applied_entries");
        if (last && applied == last) continue;
        behind = &node;
        break;
      }
      if (behind == nullptr) return;
      look_for_deaths();
      if (real_now() >= until)
        throw Failure(ExitCode::no_progress,
                      "replica " + std::to_string(behind->id) +
                          " does not apply what it has: it has applied entry " +
                          with_commas(applied.value_or(0)) + " of " +
                          with_commas(last.value_or(0)));
      pause();
    }
  }

  // That number of its metrics; nothing where it did not answer.
  std::optional<std::uint64_t> ask(const ClusterNode& node, const std::string& name) {
    const Deadline limit = network_.clock().in(ask_patience);
    auto stream = networks_.to(node.metrics).dial({}, {}, limit);
    if (!stream) return std::nullopt;
    std::string request = "GET /metrics HTTP/1.1\r\nHost: cluster\r\n\r\n";
    iovec piece{request.data(), request.size()};
    if (!write_all(**stream, {&piece, 1}, limit)) return std::nullopt;
    std::string answer;
    for (;;) {
      const auto bytes = (*stream)->read(limit);
      if (!bytes) return std::nullopt;
      if (bytes->empty()) return metric_in(answer, name);
      answer.append(reinterpret_cast<const char*>(bytes->data()), bytes->size());
    }
  }

  const BusClusterOptions* options_;
  const BusLoadOptions* load_;
  Networks networks_;  // to the metrics
  real::RingNetwork network_;
  ClusterFolder folder_;
  std::vector<ClusterNode> nodes_;
  const ClusterNode* down_ = nullptr;
  bool clients_over_ = false;
  bool cut_short_ = false;
  int told_ = 0;  // to stop: so often
};

// What was acknowledged, against what stands in the files. `settled`: stop() has returned.
ExitCode Cluster::compare(const BusLoadState& state, bool settled) const {
  ClusterEvidence evidence;
  evidence.results = state.results;
  evidence.first_client = load_->first_client;
  evidence.settled = settled;
  std::vector<std::string> unread;
  for (const ClusterNode& node : nodes_) {
    evidence.logs.emplace_back();
    evidence.tallies.push_back(node.process ? last_tally_in(node.process->said()) : std::nullopt);
    try {
      evidence.logs.back() = read_log_file(node.log);
    } catch (const Failure& failure) {  // and so it has nothing; a majority may be whole without it
      unread.emplace_back(failure.what());
    }
  }
  ClusterVerdict verdict = judge_cluster(evidence);
  if (settled) verdict.wrong.insert(verdict.wrong.begin(), unread.begin(), unread.end());
  std::printf("in the logs  %s of the acknowledged requests, each once and in order:",
              with_commas(verdict.applied).c_str());
  const auto& copies_of = verdict.copies_of;
  for (std::size_t copies = nodes_.size(); copies > 0; --copies)
    if (copies_of[copies] != 0 || copies == nodes_.size())
      std::printf("%s %s on %zu replicas", copies == nodes_.size() ? "" : ",",
                  with_commas(copies_of[copies]).c_str(), copies);
  std::printf("; %s that nobody was told of\n", with_commas(verdict.beyond).c_str());
  const auto& wrong = verdict.wrong;
  for (std::size_t i = 0; i < std::min<std::size_t>(wrong.size(), 5); ++i)
    std::fprintf(stderr, "twinwire: %s\n", wrong[i].c_str());
  if (wrong.size() > 5) std::fprintf(stderr, "twinwire: and %zu more\n", wrong.size() - 5);
  if (wrong.empty())
    std::puts(settled ? "acknowledged == applied on every replica, exactly once"
                      : "acknowledged == in the logs of a majority, exactly once");
  return wrong.empty() ? ExitCode::pass : ExitCode::law_broken;
}

}  // namespace

ExitCode run_bus_cluster(const BusClusterOptions& options, BusLoadOptions load) {
  const std::size_t transport = transport_named(options.transport);
  const auto ring = open_ring();
  auto signals = real::SignalWait::create(*ring, {SIGINT, SIGTERM});
  if (!signals)
    throw Failure(ExitCode::environment, "cannot wait for signals: " + to_string(signals.error()));
  load.first_client = ring->random().next() >> 1;
  if (options.kill_each) load.messages = UINT64_MAX / 2;
  load.keep_answers = true;
  Cluster cluster(options, load, *ring);
  BusLoadState state;
  ExitCode code = ExitCode::pass;
  std::optional<Failure> failure;
  const TimePoint start = real_now();
  with_transport(transport, [&]<class T>() {
    Scope root(ring->scheduler());
    root.spawn("cluster", [&] {
      run_scope(ring->scheduler(), [&](Scope& background) {
        background.spawn("signals", [&] { cluster.obey(*signals, state); });
        cluster.run<T>(state);
        code = print_bus_load(state, real_now() - start);
        cluster.stop();
        background.cancel();
      });
    });
    (void)ring->scheduler().run();
    try {
      root.rethrow_failure();
    } catch (const Failure& why) {
      failure = why;
    } catch (const std::exception& why) {
      failure = Failure(ExitCode::environment, why.what());
    }
  });
  // What it is for comes first, however the rest ended.
  if (failure) {
    cluster.kill_all();
    if (state.acknowledged == 0 || cluster.compare(state, false) == ExitCode::pass)
      throw Failure(*failure);
    std::fprintf(stderr, "twinwire: %s\n", failure->what());
    return ExitCode::law_broken;
  }
  if (const ExitCode found = cluster.compare(state, true); found != ExitCode::pass) return found;
  if (cluster.did_all()) return code;
  if (!cluster.told_to_stop()) return code == ExitCode::pass ? ExitCode::untested : code;
  // As with every verb that was interrupted: what was not done is not known to hold.
  std::fprintf(stderr, "twinwire: told to stop before everything was done\n");
  return graver(code, ExitCode::environment);
}

}  // namespace twinwire::cli
