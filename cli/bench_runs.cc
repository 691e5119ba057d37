// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_runs.h"

#include <cstdio>

#include "cli/bench_ends.h"
#include "cli/bench_processes.h"
#include "cli/tls_options.h"
#include "cli/with_transport.h"
#include "sim/sim_network.h"
#include "sim/world.h"

namespace twinwire::cli {
namespace {

template <class T>
typename T::Options listening(Network& network) {
  TlsOptionsText text;
  text.self_signed = requires(typename T::Options options) { options.tls; };
  auto options = listen_options<T>(text, network);
  options.stream.congestion = bench_congestion;
  return options;
}
template <class T>
typename T::Options dialing() {
  TlsOptionsText text;
  text.self_signed = requires(typename T::Options options) { options.tls; };
  auto options = dial_options<T>(text);
  options.stream.congestion = bench_congestion;
  return options;
}

void print_report(int out, const peers::Report& report) {
  ::dprintf(out, peers::report_format, report.messages, report.bytes, report.wall_ns,
            report.processor_ns);
}
peers::Report parse_report(const std::string& line) {
  peers::Report report;
  if (std::sscanf(line.c_str(), peers::report_format, &report.messages, &report.bytes,
                  &report.wall_ns, &report.processor_ns) != 4 ||
      report.messages == 0 || report.wall_ns == 0 || report.processor_ns == 0)
    throw Failure(ExitCode::environment, "a process of the benchmark said '" + line + "'");
  return report;
}

// Two processes, on whatever processors this one has.
peers::Report run_both(const peers::Work& work, const BenchServer& server,
                       const BenchClient& client) {
  const Duration takes(static_cast<std::int64_t>(2 * work.time_ns));
  return parse_report(bench_both(takes, server, client));
}

std::uint64_t wall() { return peers::clock_ns(CLOCK_MONOTONIC); }
std::uint64_t processor() { return peers::clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

template <class T>
peers::Report load_world(const peers::Work& work) {
  StackPool stacks;
  sim::WorldOptions options;
  options.steps_max = UINT64_MAX;
  sim::World world(options, stacks);
  sim::SimNetwork& server = world.add_node("server");
  sim::SimNetwork& client = world.add_node("client");
  peers::Report report;
  const sim::RunReport run = world.run([&](Scope& scope) {
    const Address address = server.address(4000);
    auto listener = T::listen(server, scope, address, listening<T>(server));
    require_result(listener, "cannot listen");
    run_scope(world.scheduler(), [&](Scope& ends) {
      ends.spawn("server", [&] { serve_bench<T>(server, *listener); });
      auto to = dialing<T>();
      if constexpr (requires { to.initial_rtt; }) to.initial_rtt = std::chrono::milliseconds(10);
      report = load_bench<T>(client, address, to, work, &processor, &processor);
    });
    scope.cancel();
  });
  if (run.failure) std::rethrow_exception(run.failure);
  if (run.ending != sim::Ending::finished)
    throw Failure(ExitCode::no_progress, "the World did not come to its end");
  return report;
}

}  // namespace

peers::Report bench_in_world(std::size_t transport, const peers::Work& work) {
  Talker talker([&](int out) {
    with_transport(transport, [&]<class T>() { print_report(out, load_world<T>(work)); });
  });
  const Duration takes(static_cast<std::int64_t>(4 * work.time_ns));
  const peers::Report report = parse_report(talker.line(takes));
  talker.finish();
  return report;
}

peers::Report bench_on_ring(std::size_t transport, const peers::Work& work) {
  const auto server = [&](int out) {
    with_transport(transport, [&]<class T>() {
      in_bench_ring([&](real::Ring&, Network& network, Scope& background) {
        auto listener =
            T::listen(network, background, Address::v4(127, 0, 0, 1, 0), listening<T>(network));
        require_result(listener, "cannot listen");
        ::dprintf(out, "port %u\n", unsigned{listener->local().port});
        serve_bench<T>(network, *listener);
      });
    });
  };
  const auto client = [&](int out, std::uint16_t port) {
    with_transport(transport, [&]<class T>() {
      in_bench_ring([&](real::Ring&, Network& network, Scope&) {
        print_report(out, load_bench<T>(network, Address::v4(127, 0, 0, 1, port), dialing<T>(),
                                        work, &wall, &processor));
      });
    });
  };
  return run_both(work, server, client);
}

peers::Report bench_peer(const std::string& program, std::size_t transport,
                         const peers::Work& work) {
  const std::string name(laws::transport_names()[transport]);
  const std::string size = std::to_string(work.size);
  const std::string batch = std::to_string(work.batch);
  return run_both(
      work, [&](int out) { become_peer(program, out, {"serve", name, size, batch}); },
      [&](int out, std::uint16_t port) {
        become_peer(
            program, out,
            {"load", name, size, batch, std::to_string(work.time_ns), std::to_string(port)});
      });
}

std::string peers_version(const std::string& program) {
  Talker talker([&](int out) { become_peer(program, out, {"version"}); });
  const std::string line = talker.line(Duration::zero());
  talker.finish();
  return line;
}

}  // namespace twinwire::cli
