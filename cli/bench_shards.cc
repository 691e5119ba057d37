// SPDX-License-Identifier: Apache-2.0
// bench shards: what a second shard on a second processor brings. One shard accepts and deals the connections out, in
// turn, by handing them over; each shard echoes. As many clients as shards, one on the processor of each, so that what
// is compared is one processor with two.
#include <CLI/CLI.hpp>

#include <array>
#include <cstdio>
#include <memory>
#include <vector>

#include "cli/bench_ends.h"
#include "cli/bench_figures.h"
#include "cli/bench_processes.h"
#include "cli/exit_code.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/whole_number.h"
#include "props/peers/real/real_work.h"
#include "real/handed_over.h"
#include "real/shard.h"
#include "real/shards.h"
#include "transport/fiber/wait_queue.h"
#include "transport/framed/framed_conn.h"
#include "transport/tcp/tcp.h"

namespace twinwire::cli {
namespace {

constexpr Deadline no_deadline = Deadline::never();

struct ShardsArguments {
  std::uint64_t shards = 2;
  unsigned rounds = 7;
  std::string time = "300ms";
  std::uint64_t connections = 64;
  std::uint64_t depth = 16;
  std::uint64_t size = 256;
};

struct ShardsWork {
  std::size_t connections;  // over all clients
  std::size_t depth;        // messages under way on each
  std::size_t size;
  std::uint64_t time_ns;
};

ConnOptions shards_options() {
  ConnOptions options;
  options.stream.congestion = bench_congestion;
  return options;
}

// --- The server -----------------------------------------------------------------------------------------------------

void echo_all(Network& network, std::unique_ptr<ByteStream> stream) {
  auto conn = FramedConn::over(network, std::move(stream), shards_options());
  require_result(conn, "no memory for a connection");
  auto [reader, writer] = split(std::move(*conn));
  Batch batch(batch_messages_max);
  for (;;) {
    const auto read = reader.read_batch(batch, default_max_message, no_deadline);
    if (!read && read.error() == Errc::closed) break;
    require_result(read, "the connection was lost");
    require_result(writer.send_batch(batch, no_deadline), "an echo was not taken");
  }
  (void)writer.close(bench_grace);
}

// What has arrived at one shard. Touched by its thread alone; a line of the cache each.
struct alignas(64) Dealt {
  std::size_t connections = 0;
  WaitQueue arrived;
};

// Starts to echo on this shard.
void deal(real::Shard& shard, Dealt& dealt, std::unique_ptr<ByteStream> stream) {
  shard.scope().spawn("echo", [&shard, s = std::move(stream)]() mutable {
    echo_all(shard.network(), std::move(s));
  });
  ++dealt.connections;
  dealt.arrived.wake_all(shard.scheduler());
}

void deal_out(real::Shard& shard, std::vector<Dealt>& dealt, std::size_t connections, int out) {
  ListenOptions options;
  options.stream.congestion = bench_congestion;
  auto acceptor = shard.network().listen(Address::v4(127, 0, 0, 1, 0), options);
  require_result(acceptor, "cannot listen");
  ::dprintf(out, "port %u\n", unsigned{(*acceptor)->local().port});
  for (std::size_t c = 0; c < connections; ++c) {
    auto stream = (*acceptor)->accept(no_deadline);
    require_result(stream, "nobody connected");
    const auto to = static_cast<std::uint32_t>(c % shard.count());
    if (to == shard.index()) {
      deal(shard, dealt[to], std::move(*stream));
      continue;
    }
    auto connection = real::HandedOver::take(*stream, no_deadline);
    require_result(connection, "a connection could not be handed over");
    const auto posted =
        shard.post(to, [&dealt, moved = std::move(*connection)](real::Shard& there) mutable {
          auto adopted = std::move(moved).adopt(there.ring());
          require_result(adopted, "a connection was not adopted");
          deal(there, dealt[there.index()], std::move(*adopted));
        });
    require_result(posted, "a shard takes no connection");
  }
}

void serve_shards(std::uint32_t count, std::size_t connections, int out) {
  std::vector<Dealt> dealt(count);
  real::ShardsOptions options;
  options.count = count;
  options.pin = true;
  std::string why;
  const auto body = [&](real::Shard& shard) {
    if (shard.index() == 0) deal_out(shard, dealt, connections, out);
    Dealt& mine = dealt[shard.index()];
    const std::size_t wanted = (connections + count - 1 - shard.index()) / count;
    while (mine.connections < wanted)
      (void)mine.arrived.wait(shard.scheduler(), no_deadline, "connections to serve");
  };
  auto shards = real::Shards::start(options, body, &why);
  if (!shards) throw Failure(ExitCode::environment, why);
  (*shards)->join();
}

// --- A client -------------------------------------------------------------------------------------------------------

class EchoClient {
 public:
  EchoClient(Network& network, const ShardsWork& work) : network_(&network), work_(work) {
    for (std::size_t i = 0; i < work.depth; ++i) {
      auto message =
          MutableMessage::create(network.buffers(), peers::data_command, work.size - header_size);
      require_result(message, "no memory for the messages");
      peers::write_message(message->bytes(), peers::data_command, i);
      messages_.push_back(std::move(*message).freeze());
    }
  }

  void dial(std::uint16_t port, std::size_t connections) {
    for (std::size_t c = 0; c < connections; ++c) {
      auto conn = Tcp::dial(*network_, Address::v4(127, 0, 0, 1, port), shards_options(),
                            network_->clock().in(std::chrono::seconds(10)));
      require_result(conn, "cannot connect");
      auto [reader, writer] = split(std::move(*conn));
      ends_.push_back({std::move(reader), std::move(writer)});
    }
  }

  // Echoes for the time of the work, after a third of it that is not counted.
  std::uint64_t run() {
    measured_from_ = peers::wall_ns() + work_.time_ns / 3;
    until_ = measured_from_ + work_.time_ns;
    run_scope(network_->scheduler(), [&](Scope& scope) {
      for (End& end : ends_) scope.spawn("echo", [&] { echo(end); });
    });
    for (End& end : ends_) (void)end.writer.close(bench_grace);
    return counted_;
  }

 private:
  struct End {
    FramedReader reader;
    FramedWriter writer;
  };

  void echo(End& end) {
    Batch batch(work_.depth);
    peers::Totals sent;
    peers::Totals received;
    for (;;) {
      for (const Message& message : messages_) {
        batch.push(message);
        sent.add(message.bytes().data(), message.size());
      }
      require_result(end.writer.send_batch(batch, no_deadline), "a batch was not taken");
      while (batch.size() < work_.depth)
        require_result(end.reader.read_batch(batch, default_max_message, no_deadline),
                       "an echo did not come");
      for (const Message& message : batch.messages())
        received.add(message.bytes().data(), message.size());
      batch.clear();
      const std::uint64_t now = peers::wall_ns();
      if (now >= until_) break;
      if (now >= measured_from_) counted_ += work_.depth;
    }
    if (!received.same_messages(sent)) throw peers::Miscounted();
  }

  Network* network_;
  ShardsWork work_;
  std::vector<Message> messages_;
  std::vector<End> ends_;
  std::uint64_t measured_from_ = 0;
  std::uint64_t until_ = 0;
  std::uint64_t counted_ = 0;
};

// --- The verb -------------------------------------------------------------------------------------------------------

// Messages per second, each there and back, with so many shards.
double measure_shards(std::uint32_t count, const std::vector<int>& cores, const ShardsWork& work) {
  Talker server([&](int out) { serve_shards(count, work.connections, out); });
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
    if (std::sscanf(line.c_str(), "%llu", &counted) != 1 || counted == 0)
      throw Failure(ExitCode::environment, "a client said '" + line + "'");
    messages += static_cast<double>(counted);
  }
  for (const auto& client : clients) client->finish();
  server.finish();
  return messages * 1e9 / static_cast<double>(work.time_ns);
}

ExitCode bench_shards(const ShardsArguments& asked) {
  const auto time = parse_duration(asked.time);
  if (!time || *time <= Duration::zero() || *time > std::chrono::minutes(1))
    bad_usage("'" + asked.time + "' is no duration up to a minute; write 300ms or 1s");
  const std::vector<int> cores = my_cores();
  const auto count = static_cast<std::uint32_t>(asked.shards);
  if (cores.size() < count)
    throw Failure(ExitCode::environment, "so many shards need as many processors, and there " +
                                             std::string(cores.size() == 1 ? "is " : "are ") +
                                             std::to_string(cores.size()));
  if (asked.connections < count) bad_usage("--connections: at least one for each shard");
  const ShardsWork work{asked.connections, asked.depth, asked.size,
                        static_cast<std::uint64_t>(time->count())};
  std::vector<double> one;
  std::vector<double> all;
  std::vector<double> ratios;
  for (unsigned round = 0; round < asked.rounds; ++round) {
    one.push_back(measure_shards(1, cores, work));
    all.push_back(measure_shards(count, cores, work));
    ratios.push_back(all.back() / one.back());
  }
  const auto [least, most] = std::ranges::minmax(ratios);
  std::printf(
      "echo over %s connections, %s messages of %s bytes under way on each; %u rounds in "
      "turn\n",
      with_commas(asked.connections).c_str(), with_commas(asked.depth).c_str(),
      with_commas(asked.size).c_str(), asked.rounds);
  std::vector<std::vector<std::string>> table = {
      {"shards", "processors", "messages/s", "to one", "least", "most"},
      {"1", "1", whole(median(one)), "1.00", "", ""},
      {std::to_string(count), std::to_string(count), whole(median(all)), decimal(median(ratios), 2),
       decimal(least, 2), decimal(most, 2)}};
  std::printf("%s", format_table(table, true).c_str());
  std::printf(
      "messages/s: there and back, medians. to one: the median of the ratios within each "
      "round.\n");
  return ExitCode::pass;
}

}  // namespace

void add_bench_shards(CLI::App& bench, ExitCode& code) {
  auto options = std::make_shared<ShardsArguments>();
  auto* verb = bench.add_subcommand(
      "shards", "what a second shard on a second processor brings: echo, connections handed over");
  verb->add_option("--shards", options->shards, "to compare with one")
      ->check(whole_number(2, 64))
      ->capture_default_str();
  verb->add_option("--rounds", options->rounds, "of both, in turn")
      ->check(whole_number(1, 1000))
      ->capture_default_str();
  verb->add_option("--time", options->time, "of one measurement")->capture_default_str();
  verb->add_option("--connections", options->connections, "over all clients")
      ->check(whole_number(1, 10'000))
      ->capture_default_str();
  verb->add_option("--depth", options->depth, "messages under way on each")
      ->check(whole_number(1, batch_messages_max))
      ->capture_default_str();
  verb->add_option("--size", options->size, "of a message in bytes, header included")
      ->check(whole_number(header_size, default_max_message))
      ->capture_default_str();
  verb->callback([&code, options] { code = bench_shards(*options); });
}

}  // namespace twinwire::cli
