// SPDX-License-Identifier: Apache-2.0
// load: messages to a `serve`, over real sockets: how many a second, how late, and whether each came back whole.
#include "cli/load_client.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>

#include "cli/bus_cluster.h"
#include "cli/endpoint.h"
#include "cli/load_bus.h"
#include "cli/not_empty.h"
#include "cli/out_of_place.h"
#include "cli/ring.h"
#include "cli/run_spec.h"
#include "cli/serve_bus.h"
#include "cli/text.h"
#include "cli/tls_options.h"
#include "cli/verbs.h"
#include "cli/whole_number.h"
#include "cli/with_transport.h"
#include "real/signal_wait.h"

namespace twinwire::cli {
namespace {

struct LoadArguments : LoadOptions {
  std::string connect = "127.0.0.1:4000";
  std::string transport = "tcp";
  std::string time_text;
  std::string patience_text = "10s";
  SocketOptionsText sockets;
  TlsOptionsText tls;
  bool bus = false;
  BusClusterOptions cluster{.replicas = 0, .folder = {}, .transport = {}};
};

constexpr Duration stop_grace = std::chrono::seconds(2);

real::SignalWait signals_of(real::Ring& ring) {
  auto signals = real::SignalWait::create(ring, {SIGINT, SIGTERM});
  if (!signals)
    throw Failure(ExitCode::environment, "cannot wait for signals: " + to_string(signals.error()));
  return std::move(*signals);
}

// `start` spawns the clients. What was sent may still come back; after the grace, or a second signal, it is given up.
template <class F>
void run_until_told(Network& network, real::SignalWait& signals, bool& stop, F&& start) {
  bool over = false;  // read by a fiber that may outlive the clients' scope
  run_scope(network.scheduler(), [&](Scope& background) {
    run_scope(network.scheduler(), [&](Scope& scope) {
      background.spawn("signals", [&] {
        if (!signals.wait(Deadline::never())) return;
        stop = true;
        const auto again = signals.wait(network.clock().in(stop_grace));
        if (!over && (again || again.error() == Errc::timed_out)) scope.cancel();
      });
      start(scope);
    });
    over = true;
    background.cancel();
  });
}

template <Transport T>
void run_clients(Network& network, const Endpoint& server, LoadArguments& options,
                 const typename T::Options& dialing, real::SignalWait& signals,
                 std::vector<LoadResult>& results) {
  std::vector<std::unique_ptr<LoadClient<T>>> clients;
  run_until_told(network, signals, options.stop, [&](Scope& scope) {
    for (std::uint64_t i = 0; i < options.connections; ++i) {
      const std::uint64_t share = options.messages / options.connections +
                                  (i < options.messages % options.connections ? 1 : 0);
      clients.push_back(
          std::make_unique<LoadClient<T>>(network, options, dialing, share, results[i]));
      scope.spawn("client", [&, client = clients.back().get()] {
        client->run(server.address, [&](const Error& error) {
          return explain_dial(server, options.sockets, error);
        });
      });
    }
  });
}

void print_head(const LoadArguments& options) {
  std::printf("%s to %s: %s connections, messages of %s bytes in batches of %zu, %s\n",
              options.transport.c_str(), options.connect.c_str(),
              with_commas(options.connections).c_str(), with_commas(options.size).c_str(),
              options.batch,
              options.one_way ? "one way"
                              : (std::to_string(options.in_flight) + " batches in flight").c_str());
  std::fflush(stdout);
}

ExitCode print_results(const LoadArguments& options, const std::vector<LoadResult>& results,
                       Duration took) {
  LoadTotals total;
  auto latency = std::make_unique<Histogram>();
  ExitCode code = ExitCode::pass;
  std::size_t problems = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    total.messages += results[i].echoed.messages;
    total.bytes += results[i].echoed.bytes;
    latency->add(results[i].latency);
    if (results[i].problem.empty()) continue;
    if (problems++ == 0)
      std::fprintf(stderr, "twinwire: connection %zu: %s\n", i + 1, results[i].problem.c_str());
    code = graver(code, results[i].damaged ? ExitCode::law_broken : ExitCode::environment);
  }
  if (problems > 1)
    std::fprintf(stderr, "twinwire: and %zu other connections failed\n", problems - 1);
  // As with every verb that was interrupted: what was not done is not known to hold.
  const bool cut_short =
      std::any_of(results.begin(), results.end(), [](const auto& one) { return one.cut_short; });
  if (options.stop && (cut_short || problems != 0)) {
    std::fprintf(stderr, "twinwire: told to stop before everything was sent\n");
    code = graver(code, ExitCode::environment);
  }
  if (total.messages == 0) return code;
  const double seconds = static_cast<double>(took.count()) / 1e9;
  std::printf("%s messages in %s: %s messages per second, %.1f MiB/s%s\n",
              with_commas(total.messages).c_str(), format_duration(took).c_str(),
              with_commas(static_cast<std::uint64_t>(static_cast<double>(total.messages) / seconds))
                  .c_str(),
              static_cast<double>(total.bytes) / seconds / (1 << 20),
              options.one_way ? "" : " each way");
  if (latency->total() != 0)
    std::printf("latency    median %s, p99 %s\n",
                format_duration(Duration(latency->per_mille(500))).c_str(),
                format_duration(Duration(latency->per_mille(990))).c_str());
  std::printf("%s\n", problems == 0 ? "sums verified: every message arrived whole and in order"
                                    : "failed: not every message was verified");
  return code;
}

void require_sense(LoadArguments& options) {
  const auto patience = parse_duration(options.patience_text);
  if (!patience || *patience <= Duration::zero())
    bad_usage("'" + options.patience_text + "' is no duration; write 10s or 500ms");
  options.patience = *patience;
  if (options.time_text.empty()) return;
  const auto time = parse_duration(options.time_text);
  if (!time || *time == Duration::zero())
    bad_usage("'" + options.time_text + "' is no duration; write 30s or 5m");
  options.time = *time;
  options.messages = UINT64_MAX / 2;
}

BusLoadOptions bus_options_of(const LoadArguments& options) {
  if (options.size > header_size + bus_body_max)
    bad_usage("--size " + std::to_string(options.size) + ": a log takes at most " +
              std::to_string(header_size + bus_body_max) + " bytes, header included");
  BusLoadOptions load;
  load.connections = options.connections;
  load.messages = options.messages;
  load.size = std::max(options.size, header_size + tally_label_size);
  load.time = options.time;
  load.patience = options.patience;
  return load;
}

// To a log that is served already.
ExitCode run_load_bus(const LoadArguments& options) {
  const std::size_t transport = transport_named(options.transport);
  const Endpoint server = parse_endpoint(options.connect, true);
  const auto ring = open_ring();
  Networks networks(*ring);
  Network& network = networks.to(server);
  BusLoadOptions load = bus_options_of(options);
  load.first_client = network.random().next() >> 1;
  load.explain_dial = [&](const Error& error) {
    return explain_dial(server, options.sockets, error);
  };
  BusLoadState state;
  auto signals = signals_of(*ring);
  const TimePoint start = real_now();
  with_transport(transport, [&]<class T>() {
    require_streams(server, T::name, over_datagrams<T>, options.sockets);
    auto dialing = dial_options<T>(options.tls);
    apply(options.sockets, dialing);
    Scope root(ring->scheduler());
    root.spawn("load", [&] {
      run_until_told(network, signals, state.stop, [&](Scope& scope) {
        scope.spawn("clients",
                    [&] { run_bus_clients<T>(network, server.address, dialing, load, state); });
      });
    });
    (void)ring->scheduler().run();
    root.rethrow_failure();
  });
  const ExitCode code = print_bus_load(state, real_now() - start);
  if (!state.stop || state.acknowledged == load.messages) return code;
  std::fprintf(stderr, "twinwire: told to stop before everything was sent\n");
  return graver(code, ExitCode::environment);
}

// What is of use in one of the modes alone.
void require_in_place(const CLI::App& verb, const LoadArguments& options) {
  if (!options.bus && (options.cluster.replicas != 0 || options.cluster.kill_each))
    bad_usage("--cluster and --kill-each start processes of `serve --bus`: give --bus as well");
  if (options.cluster.kill_each && options.cluster.replicas == 0)
    bad_usage("--kill-each kills what --cluster has started: give that as well");
  if (options.bus)
    refuse_given(
        verb, {"--batch", "--in-flight", "--one-way"},
        "means nothing with --bus, whose clients have one request each under way: leave it "
        "out");
  if (options.cluster.replicas == 0)
    refuse_given(verb, {"--folder"}, "is for the files of --cluster: give that as well");
  else
    refuse_given(
        verb,
        {"--connect", "--keepalive", "--keepalive-interval", "--keepalive-probes", "--user-timeout",
         "--send-buffer", "--receive-buffer", "--congestion", "--device", "--nagle", "--bind",
         "--ca", "--server-name", "--cert", "--key", "--alpn", "--key-log"},
        "is for a server that is there already, and --cluster starts its own: leave it out");
  if (!options.cluster.kill_each)
    refuse_given(verb, {"--between"}, "is for --kill-each: give that as well");
}

ExitCode run_load(LoadArguments& options) {
  require_sense(options);
  if (options.bus && options.cluster.replicas == 0) return run_load_bus(options);
  if (options.bus) {
    options.cluster.transport = options.transport;
    return run_bus_cluster(options.cluster, bus_options_of(options));
  }
  const std::size_t transport = transport_named(options.transport);
  const Endpoint server = parse_endpoint(options.connect, true);
  with_transport(transport, [&]<class T>() {
    require_streams(server, T::name, over_datagrams<T>, options.sockets);
  });
  if (server.unix_name && !options.tls.ca.empty() && options.tls.server_name.empty())
    bad_usage(
        "a Unix-domain socket has no address that a certificate could name: give "
        "--server-name");
  ExitCode code = ExitCode::pass;
  with_transport(transport, [&]<class T>() {
    auto dialing = dial_options<T>(options.tls);
    apply(options.sockets, dialing);
    const auto ring = open_ring();
    auto signals = signals_of(*ring);
    print_head(options);
    Networks networks(*ring);
    Network& network = networks.to(server);
    std::vector<LoadResult> results(options.connections);
    const TimePoint start = real_now();
    Scope root(ring->scheduler());
    root.spawn("load",
               [&] { run_clients<T>(network, server, options, dialing, signals, results); });
    (void)ring->scheduler().run();
    root.rethrow_failure();
    code = print_results(options, results, real_now() - start);
  });
  return code;
}

}  // namespace

void add_load(CLI::App& app, const Tool&, ExitCode& code) {
  auto* verb = app.add_subcommand("load", "sends messages to a `serve` and verifies every echo");
  auto options = std::make_shared<LoadArguments>();
  verb->add_option("--connect", options->connect,
                   "the server's address and port; or unix:PATH, unix:@NAME")
      ->capture_default_str();
  verb->add_option("--transport", options->transport, "over which transport")
      ->capture_default_str();
  verb->add_option("--connections", options->connections, "at one time")
      ->check(whole_number(1, connections_max))
      ->capture_default_str();
  auto* messages = verb->add_option("--messages", options->messages, "over all connections")
                       ->check(whole_number(1, std::uint64_t{1} << 60))
                       ->capture_default_str();
  verb->add_option("--size", options->size, "of a message in bytes, header included")
      ->check(whole_number(header_size, default_max_message))
      ->capture_default_str();
  verb->add_option("--batch", options->batch, "messages in one send")
      ->check(whole_number(1, batch_messages_max))
      ->capture_default_str();
  verb->add_option("--in-flight", options->in_flight, "batches without an echo")
      ->check(whole_number(1, 10'000))
      ->capture_default_str();
  verb->add_flag("--one-way", options->one_way, "no echoes; the server's own count ends it");
  auto* time = verb->add_option("--time", options->time_text,
                                "send for so long (30s, 5m) instead of a number of messages")
                   ->check(not_empty())
                   ->excludes(messages);
  verb->add_option("--patience", options->patience_text, "how long the server may be silent")
      ->capture_default_str();
  add_dialer_socket_options(*verb, options->sockets);
  add_tls_dialer_options(*verb, options->tls);
  verb->add_flag(
      "--bus", options->bus,
      "requests to the primary of a `serve --bus`, each sent again until it is answered");
  verb->add_option("--cluster", options->cluster.replicas,
                   "with --bus: start so many processes of one, and stop them at the end")
      ->check(whole_number(1, 9));
  // It ends when each was killed, and not before.
  verb->add_flag(
          "--kill-each", options->cluster.kill_each,
          "with --cluster: kill each of them in turn under load, start it again, and compare "
          "what was acknowledged with the logs")
      ->excludes(messages)
      ->excludes(time);
  verb->add_option(
          "--between", options->cluster.between,
          "with --kill-each: requests that are to be acknowledged before each kill, while a "
          "backup is down, and after each return")
      ->check(whole_number(1, 1'000'000'000))
      ->capture_default_str();
  verb->add_option("--folder", options->cluster.folder,
                   "with --cluster: where its files are; a temporary one unless given");
  verb->callback([&code, verb, options] {
    require_in_place(*verb, *options);
    code = run_load(*options);
  });
}

}  // namespace twinwire::cli
