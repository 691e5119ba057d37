// SPDX-License-Identifier: Apache-2.0
// serve: the other end of `load`, over real sockets. Echoes what it gets, and verifies it. With --shards by several
// threads, each with a listener of its own on one port.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "cli/metrics_server.h"
#include "cli/not_empty.h"
#include "cli/out_of_place.h"
#include "cli/refusal_log.h"
#include "cli/ring.h"
#include "cli/run_spec.h"
#include "cli/serve_bus.h"
#include "cli/serve_metrics.h"
#include "cli/serve_session.h"
#include "cli/text.h"
#include "cli/tls_options.h"
#include "cli/verbs.h"
#include "cli/with_transport.h"
#include "real/shards.h"
#include "real/signal_wait.h"

namespace twinwire::cli {
namespace {

struct ServeArguments {
  std::string listen = "127.0.0.1:4000";
  std::string transport = "tcp";
  std::string handshake_timeout = "10s";
  std::string metrics;
  unsigned shards = 1;
  SocketOptionsText sockets;
  TlsOptionsText tls;
  ServeBusArguments bus;
};

constexpr Duration between_complaints = std::chrono::seconds(1);  // about what lasts

template <Transport T>
void accept_all(Network& network, typename T::Listener& listener, Scope& sessions_scope,
                std::list<Session<T>*>& sessions, ServeState& state) {
  TimePoint quiet_until{INT64_MIN};
  for (;;) {
    auto accepted = listener.accept(Deadline::never());
    if (!accepted &&
        (accepted.error() == Errc::canceled || accepted.error() == Errc::shutting_down))
      return;
    if (!accepted) {
      const TimePoint now = network.clock().now();
      if (now < quiet_until) continue;  // descriptors are still out
      quiet_until = now + between_complaints;
      std::fprintf(stderr, "twinwire: a connection was not accepted: %s\n",
                   to_string(accepted.error()).c_str());
      continue;
    }
    auto session =
        std::make_shared<Session<T>>(network, state, std::move(accepted->first), accepted->second);
    (void)sessions_scope.try_spawn("session", [&sessions, &state, session] {
      const auto at = sessions.insert(sessions.end(), session.get());
      ++state.sessions;
      session->run();
      --state.sessions;
      sessions.erase(at);
    });
  }
}

// Where the metrics are read, if anywhere.
struct MetricsPlace {
  const Endpoint* endpoint = nullptr;  // nullptr: nowhere
  Network* network = nullptr;
  std::function<Result<std::vector<ServeSample>>()> samples;  // of every shard
};

// Throws Failure: where nobody could listen.
std::optional<MetricsServer> start_metrics(real::Ring& ring, const MetricsPlace& place,
                                           Scope& background, std::string_view transport) {
  if (place.endpoint == nullptr) return std::nullopt;
  auto server =
      MetricsServer::start(*place.network, background, place.endpoint->address,
                           [&place, mode = ring.mode(), transport]() -> Result<std::string> {
                             const auto samples = place.samples();
                             if (!samples) return samples.error();
                             return serve_metrics(*samples, mode, transport);
                           });
  if (!server)
    throw Failure(ExitCode::environment, explain_listen(*place.endpoint, {}, server.error()));
  return std::move(*server);
}

void print_serving(std::string_view transport, const Endpoint& endpoint, const Address& local) {
  std::printf("serving %s on %s\n", std::string(transport).c_str(),
              endpoint.unix_name ? endpoint.text.c_str() : to_string(local).c_str());
}

// What one thread serves with.
struct ServePlace {
  real::Ring* ring;
  Network* network;
  const Endpoint* endpoint;
  MetricsPlace metrics;
  const SocketOptionsText* sockets;
  ServeState* state;
  // It listens there: says so.
  std::function<void(const Address&)> on_listening;
  // Waits until it is time to stop, and when called again, to hurry.
  std::function<Result<void>(Deadline)> wait_for_end;
};

// In a fiber. Throws Failure with the sentence why it could not listen; returns once it was told to end.
template <Transport T>
void serve_until_told(const ServePlace& place, typename T::Options options) {
  Network& network = *place.network;
  ServeState& state = *place.state;
  const Endpoint& endpoint = *place.endpoint;
  bool over = false;  // every session has ended; read by a fiber that may outlive the scope below
  run_scope(network.scheduler(), [&](Scope& background) {
    const auto refusals = std::make_shared<RefusalLog>(background);
    options.accept.on_refused = [refusals, &state](const Address& peer, std::string_view why) {
      refusals->note(peer, why);
      state.totals.refused = refusals->total();
    };
    auto listener = T::listen(network, background, endpoint.address, options);
    if (!listener)
      throw Failure(ExitCode::environment,
                    explain_listen(endpoint, *place.sockets, listener.error()));
    const auto metrics = start_metrics(*place.ring, place.metrics, background, T::name);
    place.on_listening(listener->local());
    if (metrics && place.metrics.endpoint->unix_name)
      std::printf("metrics at /metrics on %s\n", place.metrics.endpoint->text.c_str());
    else if (metrics)
      std::printf("metrics on http://%s/metrics\n", to_string(metrics->local()).c_str());
    std::fflush(stdout);
    std::list<Session<T>*> sessions;
    FiberHandle hurry;
    run_scope(network.scheduler(), [&](Scope& scope) {
      const FiberHandle acceptor =
          scope.spawn("accept", [&] { accept_all<T>(network, *listener, scope, sessions, state); });
      (void)place.wait_for_end(Deadline::never());
      state.stopping = true;
      network.scheduler().cancel(acceptor);
      for (Session<T>* session : sessions) session->stop();
      // A peer that reads nothing must not keep us: after the grace, or a second signal, what it has not taken is lost.
      hurry = background.spawn("hurry", [&] {
        const auto told = place.wait_for_end(network.clock().in(close_grace));
        if (!over && (told || told.error() == Errc::timed_out)) scope.cancel();
      });
    });
    over = true;
    network.scheduler().cancel(hurry);
    background.cancel();
    refusals->flush();
  });
}

real::SignalWait signals_of(real::Ring& ring) {
  auto signals = real::SignalWait::create(ring, {SIGINT, SIGTERM});
  if (!signals)
    throw Failure(ExitCode::environment, "cannot wait for signals: " + to_string(signals.error()));
  return std::move(*signals);
}

Result<void> wait_for(real::SignalWait& signals, Deadline deadline) {
  auto signal = signals.wait(deadline);
  if (!signal) return signal.error();
  return {};
}

template <Transport T>
typename T::Options serve_options(const ServeArguments& arguments, Network& network,
                                  Duration handshake_timeout) {
  auto options = listen_options<T>(arguments.tls, network);
  apply(arguments.sockets, options);
  // Whoever never sends a message is no connection, and costs nobody a place.
  options.accept_after_first_message = true;
  options.first_message_max = default_max_message;
  options.accept.handshake_timeout = handshake_timeout;
  // All of a `load`'s connections may be on their way at one time: honest ones, not to be evicted by each other.
  options.accept.handshakes_max = 2 * connections_max;
  return options;
}

// What one shard of several knows of the whole; its own thread alone looks at it.
struct ServePart {
  std::optional<Event> told;
  Endpoint endpoint;
  bool may_listen = false;
  std::size_t listening = 0;  // others, in the first shard's
  std::size_t stops = 0;

  template <class Condition>
  Result<void> wait(Deadline deadline, Condition&& condition) {
    while (!condition()) {
      told->reset();
      if (auto waited = told->wait(deadline, "the first shard"); !waited) return waited;
    }
    return {};
  }
};

// The first shard takes the address, the others take the same port; then it waits for signals, for all of them.
template <Transport T>
class ShardedServe {
 public:
  ShardedServe(const ServeArguments& arguments, const Endpoint& endpoint,
               const std::optional<Endpoint>& metrics, Duration timeout)
      : arguments_(&arguments),
        metrics_(metrics),
        timeout_(timeout),
        parts_(arguments.shards),
        states_(arguments.shards) {
    parts_.front().endpoint = endpoint;
    parts_.front().may_listen = true;
    for (ServeState& state : states_) state.measure = metrics.has_value();
  }

  void operator()(real::Shard& shard) {
    ServePart& mine = parts_[shard.index()];
    mine.told.emplace(shard.scheduler());
    auto options = serve_options<T>(*arguments_, shard.network(), timeout_);
    options.reuse_port = true;
    std::optional<real::SignalWait> signals;
    if (shard.index() == 0) signals.emplace(signals_of(shard.ring()));
    if (!mine.wait(Deadline::never(), [&] { return mine.may_listen; })) return;
    std::size_t stops_seen = 0;
    Networks networks(shard.ring());
    ServeSamples samples(shard, states_);
    ServePlace place{&shard.ring(),
                     &shard.network(),
                     &mine.endpoint,
                     {},
                     &arguments_->sockets,
                     &states_[shard.index()],
                     {},
                     {}};
    if (shard.index() == 0) {
      if (metrics_)
        place.metrics = {&*metrics_, &networks.to(*metrics_), [&] { return samples.gather(); }};
      place.on_listening = [&](const Address& local) { listen_too(shard, local); };
      place.wait_for_end = [&](Deadline deadline) {
        auto signal = wait_for(*signals, deadline);
        if (signal) tell_others(shard, [](ServePart& part) { ++part.stops; });
        return signal;
      };
    } else {
      place.on_listening = [&](const Address&) {
        tell(shard, 0, [](ServePart& part) { ++part.listening; });
      };
      place.wait_for_end = [&](Deadline deadline) {
        auto told = mine.wait(deadline, [&] { return mine.stops > stops_seen; });
        stops_seen = mine.stops;
        return told;
      };
    }
    serve_until_told<T>(place, options);
  }

  const std::vector<ServeState>& states() const noexcept { return states_; }

 private:
  template <class F>
  void tell(real::Shard& shard, std::uint32_t other, F change) {
    // Refused only if that one has ended, and then everything does.
    (void)shard.post(other, [part = &parts_[other], change](real::Shard&) {
      change(*part);
      part->told->set();
    });
  }
  template <class F>
  void tell_others(real::Shard& shard, F change) {
    for (std::uint32_t other = 1; other < shard.count(); ++other) tell(shard, other, change);
  }
  void listen_too(real::Shard& shard, const Address& local) {
    ServePart& mine = parts_.front();
    Endpoint same = mine.endpoint;
    same.address = local;
    tell_others(shard, [same](ServePart& part) {
      part.endpoint = same;
      part.may_listen = true;
    });
    if (mine.wait(Deadline::never(), [&] { return mine.listening + 1 == shard.count(); }))
      print_serving(T::name, mine.endpoint, local);
  }

  const ServeArguments* arguments_;
  std::optional<Endpoint> metrics_;
  Duration timeout_;
  std::vector<ServePart> parts_;
  std::vector<ServeState> states_;
};

void add(ServeTotals& sum, const ServeTotals& one) {
  sum.clean += one.clean;
  sum.stopped += one.stopped;
  sum.broken += one.broken;
  sum.damaged += one.damaged;
  sum.refused += one.refused;
  sum.verified.messages += one.verified.messages;
  sum.verified.bytes += one.verified.bytes;
}

template <Transport T>
ServeTotals serve_by_shards(const ServeArguments& arguments, const Endpoint& endpoint,
                            const std::optional<Endpoint>& metrics, Duration timeout) {
  // Each thread inherits it; the first waits for them.
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGINT);
  ::sigaddset(&signals, SIGTERM);
  (void)::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ShardedServe<T> serving(arguments, endpoint, metrics, timeout);
  real::ShardsOptions options;
  options.count = arguments.shards;
  options.ring = as_forced({});
  options.ring.measure_turns = metrics.has_value();
  options.pin = true;
  std::string why;
  auto shards = real::Shards::start(options, [&](real::Shard& shard) { serving(shard); }, &why);
  if (!shards) throw Failure(ExitCode::environment, why);
  (*shards)->join();
  ServeTotals sum;
  for (const ServeState& state : serving.states()) add(sum, state.totals);
  return sum;
}

void require_shardable(const ServeArguments& options, const Endpoint& endpoint,
                       bool runs_over_datagrams) {
  if (options.shards < 1 || options.shards > 64) bad_usage("--shards takes 1 to 64");
  if (options.shards == 1) return;
  if (endpoint.unix_name || runs_over_datagrams)
    bad_usage("--shards shares a TCP port (SO_REUSEPORT): not for unix: or quic");
}

template <Transport T>
ServeTotals serve_alone(const ServeArguments& arguments, const Endpoint& endpoint,
                        const std::optional<Endpoint>& metrics, Duration timeout) {
  real::RingOptions ring_options;
  ring_options.measure_turns = metrics.has_value();
  const auto ring = open_ring(ring_options);
  Networks networks(*ring);
  Network& network = networks.to(endpoint);
  ServeState state;
  state.measure = metrics.has_value();
  const auto options = serve_options<T>(arguments, network, timeout);
  std::optional<real::SignalWait> signals;
  const ServePlace place{
      ring.get(),
      &network,
      &endpoint,
      {metrics ? &*metrics : nullptr, metrics ? &networks.to(*metrics) : nullptr,
       [&]() -> Result<std::vector<ServeSample>> { return std::vector{sample(*ring, state, 0)}; }},
      &arguments.sockets,
      &state,
      [&](const Address& local) { print_serving(T::name, endpoint, local); },
      [&](Deadline deadline) { return wait_for(*signals, deadline); }};
  Scope root(ring->scheduler());
  root.spawn("serve", [&] {
    signals.emplace(signals_of(*ring));
    serve_until_told<T>(place, options);
    signals.reset();
  });
  (void)ring->scheduler().run();
  root.rethrow_failure();
  return state.totals;
}

void print_totals(const ServeTotals& totals) {
  const std::uint64_t count = totals.clean + totals.stopped + totals.broken;
  std::printf("served     %s connections: %s ended well, %s were stopped, %s broke\n",
              with_commas(count).c_str(), with_commas(totals.clean).c_str(),
              with_commas(totals.stopped).c_str(), with_commas(totals.broken).c_str());
  if (totals.refused != 0)
    std::printf("refused    %s newcomers\n", with_commas(totals.refused).c_str());
  std::printf("received   %s messages, %s bytes; %s\n",
              with_commas(totals.verified.messages).c_str(),
              with_commas(totals.verified.bytes).c_str(),
              totals.damaged == 0 ? "sums verified" : "some were damaged");
}

ExitCode serve(const ServeArguments& options) {
  const std::size_t transport = transport_named(options.transport);
  const Endpoint endpoint = parse_endpoint(options.listen, false);
  std::optional<Endpoint> metrics;
  if (!options.metrics.empty()) metrics = parse_endpoint(options.metrics, false);
  const auto handshake_timeout = parse_duration(options.handshake_timeout);
  if (!handshake_timeout || *handshake_timeout <= Duration::zero())
    bad_usage("'" + options.handshake_timeout + "' is no duration; write 10s or 500ms");
  ServeTotals totals;
  with_transport(transport, [&]<class T>() {
    require_streams(endpoint, T::name, over_datagrams<T>, options.sockets);
    require_shardable(options, endpoint, over_datagrams<T>);
    if (metrics && !over_datagrams<T>) require_apart(endpoint, options.sockets.v6_only, *metrics);
    totals = options.shards == 1
                 ? serve_alone<T>(options, endpoint, metrics, *handshake_timeout)
                 : serve_by_shards<T>(options, endpoint, metrics, *handshake_timeout);
  });
  print_totals(totals);
  if (totals.damaged != 0) return ExitCode::law_broken;
  return totals.broken == 0 ? ExitCode::pass : ExitCode::environment;
}

}  // namespace

void add_serve(CLI::App& app, const Tool&, ExitCode& code) {
  auto* verb = app.add_subcommand("serve", "echoes and verifies what `load` sends, until Ctrl-C");
  auto options = std::make_shared<ServeArguments>();
  verb->add_option("--listen", options->listen,
                   "address and port; port 0: any that is free; or unix:PATH, unix:@NAME")
      ->capture_default_str();
  verb->add_option("--transport", options->transport, "over which transport")
      ->capture_default_str();
  verb->add_option("--handshake-timeout", options->handshake_timeout,
                   "how long a newcomer may take until its first message is whole")
      ->capture_default_str();
  verb->add_option("--metrics", options->metrics,
                   "an address on which GET /metrics tells what it does, for Prometheus: one that "
                   "only those can reach who may know")
      ->check(not_empty());
  verb->add_option("--shards", options->shards,
                   "so many threads, each on a processor, that share the port; with --self-signed "
                   "each has a certificate of its own")
      ->capture_default_str();
  add_listener_socket_options(*verb, options->sockets);
  add_tls_listener_options(*verb, options->tls);
  add_serve_bus_options(*verb, options->bus);
  verb->callback([&code, verb, options] {
    if (!options->bus.on) {
      refuse_group(*verb, serve_bus_group, "is for a replica: give --bus as well");
      code = serve(*options);
      return;
    }
    refuse_given(
        *verb, {"--listen", "--transport", "--handshake-timeout"},
        "means nothing with --bus, which listens where --member and --clients say: leave it "
        "out");
    if (options->shards != 1) bad_usage("--shards is not for --bus: leave it out");
    code = serve_bus(options->bus, options->tls, options->sockets, options->metrics);
  });
}

}  // namespace twinwire::cli
