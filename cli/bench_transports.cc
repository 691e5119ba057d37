// SPDX-License-Identifier: Apache-2.0
// bench transports: messages per second of each transport, beside other people's code doing the same work.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>
#include <vector>

#include "cli/bench_figures.h"
#include "cli/bench_processes.h"
#include "cli/bench_runs.h"
#include "cli/run_spec.h"
#include "cli/verbs.h"
#include "cli/whole_number.h"
#include "props/laws/registry.h"

namespace twinwire::cli {
namespace {

struct TransportsArguments {
  std::vector<std::string> transports;
  std::vector<std::uint64_t> sizes = {256, 4096, 65'536};
  unsigned rounds = 5;
  std::string time = "300ms";
  bool alone = false;
};

constexpr const char* peer_names[laws::transport_count] = {
    "a blocking socket, writev", "GnuTLS over a blocking socket", "Boost.Beast",
    "Boost.Beast over GnuTLS", "ngtcp2 in a plain UDP loop"};

// Whole batches of small messages, and about 1 MiB of large ones.
std::size_t batch_of(std::size_t size) {
  return std::clamp<std::size_t>((std::size_t{1} << 20) / size, 1, 64);
}

struct Rates {
  std::vector<double> wall;
  std::vector<double> processor;
  std::uint64_t messages = 0;

  void add(const peers::Report& report) {
    const auto count = static_cast<double>(report.messages) * 1e9;
    wall.push_back(count / static_cast<double>(report.wall_ns));
    processor.push_back(count / static_cast<double>(report.processor_ns));
    messages += report.messages;
  }
};

std::string ratio(double a, double b) {
  char text[32];
  (void)std::snprintf(text, sizeof text, "%.2f", a / b);
  return text;
}

// One row: all rounds, ours and the peer's by turns.
std::vector<std::string> measure(std::size_t transport, const peers::Work& work,
                                 const TransportsArguments& options, const std::string& program,
                                 std::uint64_t& verified) {
  Rates world;
  Rates ring;
  Rates peer;
  for (unsigned i = 0; i < options.rounds; ++i) {
    world.add(bench_in_world(transport, work));
    ring.add(bench_on_ring(transport, work));
    if (!options.alone) peer.add(bench_peer(program, transport, work));
  }
  verified += world.messages + ring.messages + peer.messages;
  std::vector<std::string> row = {std::string(laws::transport_names()[transport]),
                                  with_commas(work.size), std::to_string(work.batch),
                                  whole(median(world.wall)), whole(median(ring.wall))};
  if (options.alone) return row;
  std::vector<double> each;
  each.reserve(options.rounds);
  for (unsigned i = 0; i < options.rounds; ++i) each.push_back(ring.wall[i] / peer.wall[i]);
  const auto [low, high] = std::minmax_element(each.begin(), each.end());
  row.push_back(whole(median(peer.wall)));
  row.push_back(ratio(median(ring.wall), median(peer.wall)));
  row.push_back(ratio(*low, 1));
  row.push_back(ratio(*high, 1));
  row.push_back(ratio(median(ring.processor), median(peer.processor)));
  row.push_back(ratio(median(world.wall), median(peer.processor)));
  return row;
}

ExitCode bench_transports(TransportsArguments& options) {
  std::vector<std::size_t> transports;
  transports.reserve(laws::transport_count);
  for (const std::string& name : options.transports) transports.push_back(transport_named(name));
  if (transports.empty())
    for (std::size_t i = 0; i < laws::transport_count; ++i) transports.push_back(i);
  const auto time = parse_duration(options.time);
  if (!time || *time <= Duration::zero() || *time > std::chrono::minutes(1))
    bad_usage("'" + options.time + "' is no duration up to a minute; write 300ms or 1s");
  const std::string program = options.alone ? "" : peers_beside_us();

  stay_on_one_core();
  std::printf(
      "messages per second: one connection, one way, then an answer that counts them; %u rounds of "
      "%s\n"
      "client and server: two processes on one core; the World: one process, by its processor "
      "time\n",
      options.rounds, format_duration(*time).c_str());
  if (!options.alone) {
    std::printf("peers      %s\n", peers_version(program).c_str());
    for (const std::size_t transport : transports)
      std::printf("  %-8s %s\n", std::string(laws::transport_names()[transport]).c_str(),
                  peer_names[transport]);
  }
  std::vector<std::vector<std::string>> rows = {
      {"transport", "bytes", "batch", "World", "loopback"}};
  if (!options.alone)
    for (const char* column : {"peer", "ratio", "min", "max", "by processor", "World/peer"})
      rows.front().emplace_back(column);
  std::uint64_t verified = 0;
  for (const std::size_t transport : transports)
    for (const std::uint64_t size : options.sizes) {
      const peers::Work work{size, batch_of(size), static_cast<std::uint64_t>(time->count())};
      rows.push_back(measure(transport, work, options, program, verified));
    }
  std::printf("%s", format_table(rows, true).c_str());
  if (!options.alone)
    std::printf(
        "ratio: loopback / peer, of the medians; min and max of the rounds. by processor: the same "
        "per second\n"
        "of processor time of both ends. World/peer: both per second of processor time\n");
  std::printf("%s messages counted, sums verified\n", with_commas(verified).c_str());
  return ExitCode::pass;
}

}  // namespace

void add_bench_transports(CLI::App& bench, ExitCode& code) {
  auto* verb = bench.add_subcommand(
      "transports",
      "messages per second of each transport, in the World and over loopback, and of its peer");
  auto options = std::make_shared<TransportsArguments>();
  verb->add_option("--transport", options->transports, "only these; may be repeated");
  verb->add_option("--size", options->sizes,
                   "of a message in bytes, header included; may be repeated")
      ->check(whole_number(header_size, 1 << 20))
      ->capture_default_str();
  verb->add_option("--rounds", options->rounds, "of which the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  verb->add_option("--time", options->time, "of one run; a round has three")->capture_default_str();
  verb->add_flag("--alone", options->alone, "without the peers");
  verb->callback([&code, options] { code = bench_transports(*options); });
}

}  // namespace twinwire::cli
