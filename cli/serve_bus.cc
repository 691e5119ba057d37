// SPDX-License-Identifier: Apache-2.0
#include "cli/serve_bus.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>
#include <optional>

#include "cli/bus_metrics.h"
#include "cli/bus_tally.h"
#include "cli/endpoint.h"
#include "cli/metrics_server.h"
#include "cli/ring.h"
#include "cli/run_spec.h"
#include "cli/text.h"
#include "cli/whole_file.h"
#include "cli/whole_number.h"
#include "cli/with_transport.h"
#include "real/file_storage.h"
#include "real/signal_wait.h"
#include "transport/bus/handshake/handshake.h"
#include "transport/bus/planes.h"
#include "transport/log/replica.h"

namespace twinwire::cli {
namespace {

constexpr std::size_t key_file_max = 1024;

struct ClientPlane {
  std::size_t transport;
  Endpoint endpoint;
};

// The arguments, as they are meant.
struct BusPlan {
  bus::BusOptions bus;
  log::LogOptions log;
  bus::HandshakeKeys keys;
  Duration freshness{};
  std::vector<bus::Member> members;
  Address own;
  std::vector<ClientPlane> clients;
  std::optional<Endpoint> metrics;
  bool tls = false;
};

std::pair<std::string, std::string> halves_of(const std::string& text, const char* example) {
  const std::size_t at = text.find('=');
  if (at == std::string::npos) bad_usage("'" + text + "' is no pair; write " + example);
  return {text.substr(0, at), text.substr(at + 1)};
}

Duration positive_duration(const std::string& text) {
  const auto duration = parse_duration(text);
  if (!duration || *duration <= Duration::zero())
    bad_usage("'" + text + "' is no duration; write 5s or 500ms");
  return *duration;
}

bus::HandshakeKey read_key(const std::string& path) {
  const std::string text = read_whole_file(path, "key of the cluster");
  const auto key = text.size() <= key_file_max ? bus::handshake_key(text) : Errc::invalid;
  if (!key)
    bad_usage("the key in " + path +
              " is not 64 hexadecimal digits; `openssl rand -hex 32` makes one");
  return *key;
}

Address internet_address(const std::string& text) {
  const Endpoint endpoint = parse_endpoint(text, true);
  if (endpoint.unix_name)
    bad_usage("'" + text + "': replicas find each other by internet addresses");
  return endpoint.address;
}

BusPlan plan_of(const ServeBusArguments& arguments, const TlsOptionsText& tls) {
  BusPlan plan;
  const auto own = static_cast<bus::ReplicaId>(arguments.replica);
  for (const std::string& text : arguments.members) {
    const auto [id_text, address] = halves_of(text, "--member 1=127.0.0.1:4001");
    const auto id = parse_u64(id_text);
    if (!id || *id >= bus::replicas_max)
      bad_usage("'" + id_text + "' is no id of a replica: those are 0 to 255");
    plan.members.push_back({static_cast<bus::ReplicaId>(*id), internet_address(address)});
    plan.log.members.push_back(static_cast<bus::ReplicaId>(*id));
    if (*id == own) plan.own = plan.members.back().address;
  }
  for (auto one = plan.members.begin(); one != plan.members.end(); ++one)
    for (auto other = plan.members.begin(); other != one; ++other)
      if (one->address == other->address)
        bad_usage("replicas " + std::to_string(other->id) + " and " + std::to_string(one->id) +
                  " have the same address " + to_string(one->address) +
                  ": each needs one of its own");
  for (const std::string& text : arguments.clients) {
    const auto [transport, address] = halves_of(text, "--clients tcp=127.0.0.1:5001");
    plan.clients.push_back({transport_named(transport), parse_endpoint(address, false)});
    if (plan.clients.back().endpoint.unix_name)
      bad_usage("'" + text + "': the bus listens on internet addresses");
  }
  const auto cluster = parse_u64(arguments.cluster);
  if (!cluster) bad_usage("'" + arguments.cluster + "' is no number of a cluster");
  if (arguments.replica_transport != "tcp" && arguments.replica_transport != "tls")
    bad_usage("replicas speak tcp or tls to each other, not '" + arguments.replica_transport + "'");
  if (arguments.log.empty()) bad_usage("serve --bus needs a file for its log: give --log");
  if (arguments.key.empty())
    bad_usage(
        "serve --bus needs the key of its cluster: give --cluster-key, a file of 64 "
        "hexadecimal digits (`openssl rand -hex 32`)");
  plan.tls = arguments.replica_transport == "tls";
  const bool encrypts = plan.tls || std::ranges::any_of(plan.clients, [](const ClientPlane& plane) {
                          return laws::transport_encrypts(plane.transport);
                        });
  if (tls.any() && !encrypts)
    bad_usage("nothing here encrypts: leave out what is for TLS, or give --replica-transport tls");
  plan.keys.current = read_key(arguments.key);
  if (!arguments.other_key.empty()) plan.keys.other = read_key(arguments.other_key);
  plan.freshness = positive_duration(arguments.freshness);

  plan.log.cluster = {*cluster, 0};
  plan.log.replica = own;
  plan.log.uncommitted_max = arguments.uncommitted_max;
  plan.log.sessions_max = arguments.sessions_max;
  plan.log.body_max = arguments.body_max;
  plan.log.window = std::min(plan.log.window, arguments.queue_max / 2 + 1);
  if (const auto problem = log::problem_with(plan.log); !problem.empty())
    bad_usage(std::string(problem));

  plan.bus.replica = own;
  plan.bus.members = plan.log.members;
  plan.bus.queue_max = arguments.queue_max;
  // Not this replica's own body_max: what is larger has to arrive, for the log to refuse it in a sentence. The bus
  // would end the connection, and whoever sent it would come back with it for ever.
  plan.bus.max_message = header_size + bus_body_max;
  plan.bus.redial_every = positive_duration(arguments.redial_every);
  plan.bus.redial_jitter = std::min(plan.bus.redial_jitter, plan.bus.redial_every / 5);
  plan.bus.silence_max = positive_duration(arguments.silence_max);
  plan.bus.heartbeat_every = std::min(plan.bus.heartbeat_every, plan.bus.silence_max / 5);
  plan.bus.drain_limit = positive_duration(arguments.drain_limit);
  if (const auto problem = bus::problem_with(plan.bus); !problem.empty())
    bad_usage(std::string(problem));
  return plan;
}

// One node, in a fiber.
class BusProcess {
 public:
  BusProcess(const BusPlan& plan, const ServeBusArguments& arguments, const TlsOptionsText& tls,
             const SocketOptionsText& sockets, real::Ring& ring)
      : plan_(&plan),
        arguments_(&arguments),
        tls_(&tls),
        sockets_(&sockets),
        ring_(&ring),
        networks_(ring),
        network_(ring) {}

  void run() {
    auto signals = real::SignalWait::create(*ring_, {SIGINT, SIGTERM});
    if (!signals)
      throw Failure(ExitCode::environment,
                    "cannot wait for signals: " + to_string(signals.error()));
    std::string why;
    auto storage = real::FileStorage::open(*ring_, arguments_->log, why);
    if (!storage) throw Failure(ExitCode::environment, why);
    log::Replica replica(network_, **storage, tally_, plan_->log);
    const auto recovered = replica.recover(why);
    if (!recovered)
      throw Failure(
          recovered.error() == Errc::invalid ? ExitCode::bad_usage : ExitCode::environment,
          arguments_->log + ": " + why);
    run_scope(network_.scheduler(), [&](Scope& background) {
      const auto refusals = std::make_shared<RefusalLog>(background);
      tally_.log_refusals_to(refusals);
      serve(replica, *recovered, *signals, background);
      background.cancel();
      refusals->flush();
      tally_.log_refusals_to(nullptr);
    });
    print_state(replica);
    if (replica.failed().is_set())
      throw Failure((*storage)->problem().empty() && !replica.out_of_memory()
                        ? ExitCode::law_broken
                        : ExitCode::environment,
                    replica.problem());
  }

 private:
  void serve(log::Replica& replica, const log::Recovered& recovered, real::SignalWait& signals,
             Scope& background) {
    bus::HandshakeMemory memory;
    const bus::KeyedHandshake who(handshake_options(memory));
    auto made = bus::Bus::create(network_, plan_->bus, replica);
    if (!made) throw Failure(ExitCode::environment, "cannot begin: " + to_string(made.error()));
    bus::Bus& bus = **made;
    std::optional<Failure> failure;
    std::optional<MetricsServer> metrics;
    try {
      open_planes(bus, replica, who);
      if (plan_->metrics)
        metrics = start_metrics(background, [&]() -> Result<std::string> {
          return bus_metrics(*ring_, arguments_->replica_transport, replica, bus, memory.counters);
        });
      print_serving(replica, recovered);
      if (metrics) print_metrics(metrics->local());
      std::fflush(stdout);
    } catch (const Failure& failed) {
      failure = failed;  // nothing suspends inside of a catch
    }
    if (!failure) wait_for_end(replica, signals);
    outcome_ = bus.shut_down();
    counters_ = bus.counters();
    handshakes_ = memory.counters;
    if (failure) throw Failure(*failure);
  }

  MetricsServer start_metrics(Scope& background, std::function<Result<std::string>()> text) {
    const Endpoint& endpoint = *plan_->metrics;
    auto server =
        MetricsServer::start(networks_.to(endpoint), background, endpoint.address, std::move(text));
    if (!server) throw Failure(ExitCode::environment, explain_listen(endpoint, {}, server.error()));
    return std::move(*server);
  }

  bus::HandshakeOptions handshake_options(bus::HandshakeMemory& memory) const {
    bus::HandshakeOptions options;
    options.cluster = plan_->log.cluster;
    options.id = plan_->log.replica;
    options.keys = plan_->keys;
    options.freshness = plan_->freshness;
    options.channel_needed = plan_->tls;
    options.memory = &memory;
    return options;
  }

  void open_planes(bus::Bus& bus, log::Replica& replica, const bus::KeyedHandshake& who) {
    if (auto started = replica.start(bus); !started)
      throw Failure(ExitCode::environment, "cannot begin: " + to_string(started.error()));
    for (const ClientPlane& plane : plan_->clients)
      with_transport(plane.transport, [&]<class T>() {
        auto options = listen_options<T>(tls_of<T>(), network_);
        if constexpr (!over_datagrams<T>) apply(*sockets_, options);
        const auto local = bus::open_client_plane<T>(bus, plane.endpoint.address, options);
        if (!local)
          throw Failure(ExitCode::environment,
                        explain_listen(plane.endpoint, *sockets_, local.error()));
        serving_.push_back(std::string(T::name) + " on " + to_string(*local));
      });
    if (plan_->tls)
      open_replica_plane<Tls>(bus, who, {.tls = tls_listener_config(*tls_, network_)},
                              {.tls = tls_dialer_config(*tls_)});
    else
      open_replica_plane<Tcp>(bus, who, {}, {});
  }
  // What was given for TLS, where this transport encrypts.
  template <class T>
  const TlsOptionsText& tls_of() const {
    static const TlsOptionsText none;
    if constexpr (requires(typename T::Options options) { options.tls; }) return *tls_;
    return none;
  }
  template <class T>
  void open_replica_plane(bus::Bus& bus, const bus::KeyedHandshake& who,
                          typename T::Options listening, const typename T::Options& dialing) {
    const auto local = bus::open_replica_plane<T>(bus, plan_->own, listening, who);
    if (!local && local.error().os_errno == EADDRINUSE)
      throw Failure(ExitCode::environment,
                    "cannot listen on " + to_string(plan_->own) +
                        ": another process listens there (EADDRINUSE), perhaps this replica's own "
                        "of before; stop it");
    if (!local)
      throw Failure(ExitCode::environment,
                    explain_listen({.text = to_string(plan_->own)}, {}, local.error()));
    if (auto joined = bus::join_mesh<T>(bus, plan_->members, dialing, who); !joined)
      throw Failure(ExitCode::environment, "cannot join: " + to_string(joined.error()));
  }

  // A signal, or the replica's failure.
  void wait_for_end(log::Replica& replica, real::SignalWait& signals) {
    run_scope(network_.scheduler(), [&](Scope& scope) {
      scope.spawn("failed", [&] {
        if (replica.failed().wait(Deadline::never(), "a failure")) scope.cancel();
      });
      scope.spawn("signals", [&] {
        if (signals.wait(Deadline::never())) scope.cancel();
      });
    });
  }

  void print_serving(const log::Replica& replica, const log::Recovered& recovered) {
    const std::string role = replica.is_primary() ? "the primary" : "a backup";
    std::printf("replica %u, %s: the log has %s entries, of which %s are known to be committed%s\n",
                arguments_->replica, role.c_str(), with_commas(recovered.last).c_str(),
                with_commas(recovered.commit).c_str(),
                recovered.bytes_cut == 0
                    ? ""
                    : ("; a torn end of " + with_commas(recovered.bytes_cut) + " bytes was cut off")
                          .c_str());
    for (const std::string& place : serving_)
      std::printf("serving clients over %s\n", place.c_str());
    std::printf("replicas over %s on %s\n", arguments_->replica_transport.c_str(),
                to_string(plan_->own).c_str());
  }

  void print_metrics(const Address& local) const {
    if (plan_->metrics->unix_name)
      std::printf("metrics at /metrics on %s\n", plan_->metrics->text.c_str());
    else
      std::printf("metrics on http://%s/metrics\n", to_string(local).c_str());
  }

  void print_state(const log::Replica& replica) const {
    const log::LogCounters& of_log = replica.counters();
    const auto n = [](std::uint64_t value) { return with_commas(value); };
    std::printf("log        %s entries, %s synced, %s committed, %s applied\n",
                n(replica.last()).c_str(), n(replica.synced()).c_str(),
                n(replica.committed()).c_str(), n(replica.applied()).c_str());
    std::printf("tally      %s requests, sum %s\n", n(tally_.applied()).c_str(),
                hex16(tally_.sum()).c_str());
    std::printf("wrote      %s entries in %s syncs\n", n(of_log.appended).c_str(),
                n(of_log.syncs).c_str());
    if (replica.is_primary())
      std::printf(
          "clients    %s requests, %s answers, %s of them again; %s told busy, %s unknown; "
          "%s sessions, %s forgotten\n"
          "backups    %s entries sent, %s of them again, %s read back\n",
          n(of_log.requests).c_str(), n(of_log.answered).c_str(), n(of_log.answered_again).c_str(),
          n(of_log.busy).c_str(), n(of_log.unknown).c_str(), n(replica.sessions()).c_str(),
          n(replica.sessions_evicted()).c_str(), n(of_log.sent).c_str(),
          n(of_log.sent_again).c_str(), n(of_log.read_back).c_str());
    else
      std::printf("primary    %s entries twice, %s too early\n", n(of_log.duplicates).c_str(),
                  n(of_log.gaps).c_str());
    std::printf(
        "bus        %s connections, %s lost; %s messages sent, %s lost, %s received; %s "
        "refused (queue full)\n",
        n(counters_.connected).c_str(), n(counters_.ended).c_str(), n(counters_.sent).c_str(),
        n(counters_.lost).c_str(), n(counters_.received).c_str(),
        n(counters_.backpressure).c_str());
    std::printf("handshakes %s verified, %s refused\n", n(handshakes_.verified).c_str(),
                n(handshakes_.rejected_in_all()).c_str());
    for (std::size_t i = 1; i < bus::rejection_count; ++i)
      if (const auto reason = static_cast<bus::Rejection>(i); handshakes_[reason] != 0)
        std::printf("           %s %s: %s\n", n(handshakes_[reason]).c_str(),
                    std::string(bus::name(reason)).c_str(),
                    std::string(bus::description(reason)).c_str());
    std::printf("shutdown   %zu connections clean, %zu forced; background %zu clean, %zu forced\n",
                outcome_.clean, outcome_.forced, outcome_.background_clean,
                outcome_.background_forced);
  }

  const BusPlan* plan_;
  const ServeBusArguments* arguments_;
  const TlsOptionsText* tls_;
  const SocketOptionsText* sockets_;  // of the client planes
  real::Ring* ring_;
  Networks networks_;  // of the metrics
  real::RingNetwork network_;
  BusTally tally_;
  std::vector<std::string> serving_;
  bus::ShutdownOutcome outcome_;
  bus::BusCounters counters_;
  bus::HandshakeCounters handshakes_;
};

}  // namespace

void BusTally::on_note(const std::string& sentence) noexcept {
  std::fprintf(stderr, "twinwire: %s\n", sentence.c_str());
}

void BusTally::on_refused(bus::Plane plane, const Address& peer, std::string_view what,
                          Error why) noexcept {
  if (refusals_ == nullptr) return;
  std::string who = plane == bus::Plane::replicas ? "a replica" : "a client";
  if (peer != Address{}) who += " at " + to_string(peer);
  refusals_->note(who + " ", std::string(what) + ": " + to_string(why));
}

void add_serve_bus_options(CLI::App& verb, ServeBusArguments& a) {
  constexpr const char* group = serve_bus_group;
  verb.add_flag("--bus", a.on, "serve a replicated log; `load --bus` is the other end")
      ->group(group);
  verb.add_option("--replica", a.replica, "this one's id; the lowest of all is the primary")
      ->check(whole_number(0, bus::replicas_max - 1))
      ->group(group);
  verb.add_option("--member", a.members,
                  "ID=ADDRESS of each replica, this one included; may be repeated")
      ->allow_extra_args(false)
      ->group(group);
  verb.add_option("--clients", a.clients,
                  "TRANSPORT=ADDRESS on which clients are served; may be repeated")
      ->allow_extra_args(false)
      ->group(group);
  verb.add_option("--replica-transport", a.replica_transport,
                  "tcp, or tls: with --cert, --key and --ca, or --self-signed")
      ->capture_default_str()
      ->group(group);
  verb.add_option("--log", a.log, "the file of this replica's log; made where there is none")
      ->group(group);
  verb.add_option("--cluster", a.cluster, "a number that all replicas of a cluster share")
      ->capture_default_str()
      ->group(group);
  verb.add_option("--cluster-key", a.key, "file with the cluster's key: 64 hexadecimal digits")
      ->group(group);
  verb.add_option("--other-key", a.other_key,
                  "file with another key that is accepted as well, while the key is changed")
      ->group(group);
  verb.add_option("--freshness", a.freshness, "how well the replicas' clocks must agree")
      ->capture_default_str()
      ->group(group);
  verb.add_option("--redial-every", a.redial_every, "how often a replica that is away is dialed")
      ->capture_default_str()
      ->group(group);
  verb.add_option("--silence-max", a.silence_max, "then a replica that says nothing is dropped")
      ->capture_default_str()
      ->group(group);
  verb.add_option("--drain-limit", a.drain_limit,
                  "at the end: how long clients, then replicas, then the log's work may take")
      ->capture_default_str()
      ->group(group);
  verb.add_option("--queue-max", a.queue_max, "messages that may wait for one peer")
      ->check(whole_number(1, 1'000'000))
      ->capture_default_str()
      ->group(group);
  verb.add_option("--uncommitted-max", a.uncommitted_max,
                  "entries that no majority has yet; beyond it clients are told busy")
      ->check(whole_number(1, 1'000'000))
      ->capture_default_str()
      ->group(group);
  verb.add_option("--sessions-max", a.sessions_max,
                  "clients that are remembered; then the one silent for longest is forgotten")
      ->check(whole_number(1, 100'000'000))
      ->capture_default_str()
      ->group(group);
  verb.add_option("--body-max", a.body_max, "bytes of a request; the same on every replica")
      ->check(whole_number(tally_label_size, bus_body_max))
      ->capture_default_str()
      ->group(group);
}

ExitCode serve_bus(const ServeBusArguments& arguments, const TlsOptionsText& tls,
                   const SocketOptionsText& sockets, const std::string& metrics) {
  BusPlan plan = plan_of(arguments, tls);
  if (!metrics.empty()) plan.metrics = parse_endpoint(metrics, false);
  real::RingOptions ring_options;
  ring_options.measure_turns = plan.metrics.has_value();
  const auto ring = open_ring(ring_options);
  BusProcess process(plan, arguments, tls, sockets, *ring);
  Scope root(ring->scheduler());
  root.spawn("serve", [&] { process.run(); });
  (void)ring->scheduler().run();
  root.rethrow_failure();
  return ExitCode::pass;
}

}  // namespace twinwire::cli
