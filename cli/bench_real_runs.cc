// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_real_runs.h"

#include <cstdio>
#include <sstream>

#include "cli/bench_figures.h"
#include "cli/bench_processes.h"
#include "cli/bench_real_ends.h"

namespace twinwire::cli {
namespace {

peers::RealReport run_real(const BenchCores& cores, const peers::RealWork& work,
                           const BenchServer& server, const BenchClient& client) {
  const Duration takes(static_cast<std::int64_t>(2 * work.time_ns));
  const std::string line = bench_both(
      takes,
      [&](int out) {
        if (cores.server >= 0) stay_on(cores.server);
        server(out);
      },
      [&](int out, std::uint16_t port) {
        if (cores.client >= 0) stay_on(cores.client);
        client(out, port);
      });
  peers::RealReport report;
  if (std::sscanf(line.c_str(), peers::real_report_format, &report.messages, &report.wall_ns,
                  &report.processor_ns, &report.calls, &report.p50_ns, &report.p99_ns) != 6 ||
      report.messages == 0 || report.wall_ns == 0 || report.processor_ns == 0)
    throw Failure(ExitCode::environment, "a process of the benchmark said '" + line + "'");
  return report;
}

}  // namespace

peers::RealReport bench_real_ours(const BenchCores& cores, const peers::RealWork& work,
                                  std::size_t coalesce_below) {
  return run_real(
      cores, work,
      [&](int out) {
        in_bench_ring([&](real::Ring& ring, Network& network, Scope& background) {
          serve_real(ring, network, background, work,
                     [&](std::uint16_t port) { ::dprintf(out, "port %u\n", unsigned{port}); });
        });
      },
      [&](int out, std::uint16_t port) {
        in_bench_ring([&](real::Ring& ring, Network& network, Scope&) {
          const peers::RealReport report = load_real(ring, network, port, work, coalesce_below);
          ::dprintf(out, peers::real_report_format, report.messages, report.wall_ns,
                    report.processor_ns, report.calls, report.p50_ns, report.p99_ns);
        });
      });
}

peers::RealReport bench_real_peer(const BenchCores& cores, const peers::RealWork& work,
                                  const std::string& program, const std::string& peer) {
  const auto arguments = [&](const char* role) {
    return std::vector<std::string>{
        role,
        peer,
        std::string(peers::real_kind_names[static_cast<std::size_t>(work.kind)]),
        std::to_string(work.size),
        std::to_string(work.batch),
        std::to_string(work.connections),
        std::to_string(work.depth)};
  };
  return run_real(
      cores, work, [&](int out) { become_peer(program, out, arguments("real-serve")); },
      [&](int out, std::uint16_t port) {
        auto all = arguments("real-load");
        all.push_back(std::to_string(work.time_ns));
        all.push_back(std::to_string(port));
        become_peer(program, out, std::move(all));
      });
}

std::vector<RealPeerName> real_peers_of(const std::string& program) {
  Talker talker([&](int out) { become_peer(program, out, {"real-list"}); });
  std::vector<RealPeerName> peers;
  for (std::string line; !(line = talker.line(Duration::zero(), true)).empty();) {
    std::istringstream fields(line);
    RealPeerName peer;
    std::string kinds;
    std::getline(fields, peer.name, '\t');
    std::getline(fields, kinds, '\t');
    std::getline(fields, peer.what);
    std::istringstream words(kinds);
    for (std::string kind; words >> kind;) peer.kinds.push_back(kind);
    peers.push_back(std::move(peer));
  }
  talker.finish();
  return peers;
}

}  // namespace twinwire::cli
