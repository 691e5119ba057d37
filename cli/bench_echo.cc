// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_echo.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include "cli/bench_figures.h"
#include "cli/exit_code.h"
#include "cli/text.h"

namespace twinwire::cli {
namespace {

// Messages per second, each there and back, with so many shards.
double measure_echo(std::uint32_t count, const std::vector<int>& cores, const EchoWork& work,
                    ServeEcho serve) {
  Talker server([&](int out) { serve(count, work.connections, out); });
  const std::string said = server.line(Duration::zero());
  unsigned port = 0;
  if (std::sscanf(said.c_str(), "port %u", &port) != 1)
    throw Failure(ExitCode::environment, "the server said '" + said + "'");
  std::vector<std::unique_ptr<Talker>> clients;
  clients.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i)
    clients.push_back(std::make_unique<Talker>([&, i](int out) {
      stay_on(cores[i]);
      in_bench_ring([&](real::Ring&, Network& network, Scope&) {
        EchoClient client(network, work);
        client.dial(static_cast<std::uint16_t>(port), (work.connections + count - 1 - i) / count);
        ::dprintf(out, "%llu\n", static_cast<unsigned long long>(client.run()));
      });
    }));
  double messages = 0;
  for (const auto& client : clients) {
    const std::string line = client->line(Duration(static_cast<std::int64_t>(2 * work.time_ns)));
    unsigned long long counted = 0;
    if (std::sscanf(line.c_str(), "%llu", &counted) != 1)
      throw Failure(ExitCode::environment, "a client said '" + line + "'");
    if (counted == 0)
      throw Failure(ExitCode::environment,
                    "over " + with_commas(work.connections) +
                        " connections not one message came "
                        "back within " +
                        format_duration(Duration(static_cast<std::int64_t>(work.time_ns))) +
                        ": give a longer --time, or fewer --connections");
    messages += static_cast<double>(counted);
  }
  for (const auto& client : clients) client->finish();
  server.finish();
  return messages * 1e9 / static_cast<double>(work.time_ns);
}

}  // namespace

void print_echo_shards(std::uint32_t count, unsigned rounds, const std::vector<int>& cores,
                       const EchoWork& work, ServeEcho serve) {
  std::vector<double> one;
  std::vector<double> all;
  std::vector<double> ratios;
  for (unsigned round = 0; round < rounds; ++round) {
    one.push_back(measure_echo(1, cores, work, serve));
    all.push_back(measure_echo(count, cores, work, serve));
    ratios.push_back(all.back() / one.back());
  }
  const auto [least, most] = std::ranges::minmax(ratios);
  std::printf(
      "echo over %s connections, %s messages of %s bytes under way on each; %u rounds in "
      "turn\n",
      with_commas(work.connections).c_str(), with_commas(work.depth).c_str(),
      with_commas(work.size).c_str(), rounds);
  std::vector<std::vector<std::string>> table = {
      {"shards", "processors", "messages/s", "to one", "least", "most"},
      {"1", "1", whole(median(one)), "1.00", "", ""},
      {std::to_string(count), std::to_string(count), whole(median(all)), decimal(median(ratios), 2),
       decimal(least, 2), decimal(most, 2)}};
  std::printf("%s", format_table(table, true).c_str());
  std::printf(
      "messages/s: there and back, medians. to one: the median of the ratios within each "
      "round.\n");
}

}  // namespace twinwire::cli
