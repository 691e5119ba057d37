// SPDX-License-Identifier: Apache-2.0
// serve: the other end of `load`, over real sockets. Echoes what it gets, and verifies it.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <list>
#include <memory>
#include <optional>

#include "cli/metrics_server.h"
#include "cli/refusal_log.h"
#include "cli/ring.h"
#include "cli/run_spec.h"
#include "cli/serve_metrics.h"
#include "cli/serve_session.h"
#include "cli/text.h"
#include "cli/tls_options.h"
#include "cli/verbs.h"
#include "cli/with_transport.h"
#include "real/signal_wait.h"

namespace twinwire::cli {
namespace {

struct ServeArguments {
  std::string listen = "127.0.0.1:4000";
  std::string transport = "tcp";
  std::string handshake_timeout = "10s";
  std::string metrics;
  SocketOptionsText sockets;
  TlsOptionsText tls;
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
  const Endpoint* endpoint;  // nullptr: nowhere
  Network* network;
};

// Throws Failure: where nobody could listen.
std::optional<MetricsServer> start_metrics(real::Ring& ring, const MetricsPlace& place,
                                           Scope& background, const ServeState& state,
                                           std::string_view transport) {
  if (place.endpoint == nullptr) return std::nullopt;
  auto server = MetricsServer::start(
      *place.network, background, place.endpoint->address,
      [&ring, &state, transport] { return serve_metrics(ring, state, transport); });
  if (!server)
    throw Failure(ExitCode::environment, explain_listen(*place.endpoint, {}, server.error()));
  return std::move(*server);
}

// In a fiber. Throws Failure with the sentence why it could not listen; returns once a signal has ended it.
template <Transport T>
void serve_until_signal(real::Ring& ring, Network& network, const Endpoint& endpoint,
                        const MetricsPlace& metrics_place, const SocketOptionsText& sockets,
                        typename T::Options options, ServeState& state) {
  auto signals = real::SignalWait::create(ring, {SIGINT, SIGTERM});
  if (!signals)
    throw Failure(ExitCode::environment, "cannot wait for signals: " + to_string(signals.error()));
  bool over = false;  // every session has ended; read by a fiber that may outlive the scope below
  run_scope(network.scheduler(), [&](Scope& background) {
    const auto refusals = std::make_shared<RefusalLog>(background);
    options.accept.on_refused = [refusals, &state](const Address& peer, std::string_view why) {
      refusals->note(peer, why);
      state.totals.refused = refusals->total();
    };
    auto listener = T::listen(network, background, endpoint.address, options);
    if (!listener)
      throw Failure(ExitCode::environment, explain_listen(endpoint, sockets, listener.error()));
    const auto metrics = start_metrics(ring, metrics_place, background, state, T::name);
    std::printf("serving %s on %s\n", std::string(T::name).c_str(),
                endpoint.unix_name ? endpoint.text.c_str() : to_string(listener->local()).c_str());
    if (metrics && metrics_place.endpoint->unix_name)
      std::printf("metrics at /metrics on %s\n", metrics_place.endpoint->text.c_str());
    else if (metrics)
      std::printf("metrics on http://%s/metrics\n", to_string(metrics->local()).c_str());
    std::fflush(stdout);
    std::list<Session<T>*> sessions;
    FiberHandle hurry;
    run_scope(network.scheduler(), [&](Scope& scope) {
      const FiberHandle acceptor =
          scope.spawn("accept", [&] { accept_all<T>(network, *listener, scope, sessions, state); });
      (void)signals->wait(Deadline::never());
      state.stopping = true;
      network.scheduler().cancel(acceptor);
      for (Session<T>* session : sessions) session->stop();
      // A peer that reads nothing must not keep us: after the grace, or a second signal, what it has not taken is lost.
      hurry = background.spawn("hurry", [&] {
        const auto told = signals->wait(network.clock().in(close_grace));
        if (!over && (told || told.error() == Errc::timed_out)) scope.cancel();
      });
    });
    over = true;
    network.scheduler().cancel(hurry);
    background.cancel();
    refusals->flush();
  });
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
  with_transport(transport, [&]<class T>() {
    require_streams(endpoint, T::name, over_datagrams<T>, options.sockets);
  });
  real::RingOptions ring_options;
  ring_options.measure_turns = metrics.has_value();
  const auto ring = open_ring(ring_options);
  Networks networks(*ring);
  Network& network = networks.to(endpoint);
  const MetricsPlace metrics_place{metrics ? &*metrics : nullptr,
                                   metrics ? &networks.to(*metrics) : nullptr};
  ServeState state;
  state.measure = metrics.has_value();
  with_transport(transport, [&]<class T>() {
    auto listening = listen_options<T>(options.tls, network);
    apply(options.sockets, listening);
    // Whoever never sends a message is no connection, and costs nobody a place.
    listening.accept_after_first_message = true;
    listening.first_message_max = default_max_message;
    listening.accept.handshake_timeout = *handshake_timeout;
    // All of a `load`'s connections may be on their way at one time: honest ones, not to be evicted by each other.
    listening.accept.handshakes_max = 2 * connections_max;
    Scope root(ring->scheduler());
    root.spawn("serve", [&] {
      serve_until_signal<T>(*ring, network, endpoint, metrics_place, options.sockets, listening,
                            state);
    });
    (void)ring->scheduler().run();
    root.rethrow_failure();
  });
  const ServeTotals& totals = state.totals;
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
                   "only those can reach who may know");
  add_listener_socket_options(*verb, options->sockets);
  add_tls_listener_options(*verb, options->tls);
  verb->callback([&code, options] { code = serve(*options); });
}

}  // namespace twinwire::cli
