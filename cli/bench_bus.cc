// SPDX-License-Identifier: Apache-2.0
// bench bus: what a call of send_to_* costs its caller, to a peer of the own shard and of another one, and where the
// queue is full; and what a second shard brings to a server that answers over the bus.
#include <CLI/CLI.hpp>

#include <array>
#include <atomic>
#include <cstdio>
#include <exception>
#include <memory>
#include <vector>

#include "cli/bench_echo.h"
#include "cli/bench_figures.h"
#include "cli/bench_processes.h"
#include "cli/exit_code.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/whole_number.h"
#include "props/cost/still_stream.h"
#include "real/probe.h"
#include "real/shard_mail.h"
#include "real/shards.h"
#include "transport/bus/dealt_plane.h"

namespace twinwire::cli {
namespace {

struct BusArguments {
  std::uint64_t calls = 1'000'000;
  unsigned rounds = 7;
  std::string time = "300ms";
  std::uint64_t connections = 64;
  std::uint64_t depth = 16;
  std::uint64_t size = 256;
};

// --- What a call costs ----------------------------------------------------------------------------------------------

constexpr std::size_t burst = 256;  // calls that are timed together
constexpr bus::ReplicaId near_replica = 2, far_replica = 3;

class Silent final : public bus::BusHandler {
 public:
  void on_client_messages(bus::ClientId, std::span<const Message>) override {}
  void on_replica_messages(bus::ReplicaId, std::span<const Message>) override {}
  void on_client_connected(bus::ClientId id, const Address&) noexcept override { newest = id; }
  bus::ClientId newest;
};

struct CallTimes {
  double client = 0;  // ns a call
  double replica = 0;
  double far_client = 0;
  double far_replica = 0;
  double refused = 0;
  std::uint64_t refusals = 0;
};

// One shard of the node under the measurement: a client and a replica whose streams take everything.
class CalledShard {
 public:
  CalledShard(real::Shard& shard, real::RingMailRoom& room, bus::OwnerTable& owners)
      : shard_(&shard), mail_(room, shard) {
    bus::BusOptions options;
    options.shard = static_cast<std::uint16_t>(shard.index());
    options.shards = static_cast<std::uint16_t>(shard.count());
    options.replica = 9;
    options.members = {near_replica, far_replica};
    options.queue_max = burst;
    options.silence_max = Duration::zero();
    options.heartbeat_every = Duration::zero();
    options.drain_limit = std::chrono::milliseconds(1);
    options.send_limit = std::chrono::hours(1);
    auto made = bus::Bus::create(shard.network(), options, handler_);
    require_result(made, "no memory for a bus");
    bus_ = std::move(*made);
    auto router = bus::ShardRouter::join(*bus_, mail_, owners);
    require_result(router, "no memory for a bus");
    router_ = std::move(*router);
    (void)add_client(true);
    require_result(bus_->open(std::make_unique<cost::StillReplica>(
                       shard.network(), shard.index() == 0 ? near_replica : far_replica)),
                   "no memory for a connection");
    while (bus_->replicas() != 1) shard.scheduler().yield();
  }

  // `takes`: its stream takes what is written.
  bus::ClientId add_client(bool takes) {
    auto link = bus::tcp_link(shard_->network(),
                              std::make_unique<cost::StillStream>(shard_->scheduler(), takes), {});
    require_result(link, "no memory for a connection");
    const std::size_t before = bus_->clients();
    require_result(bus_->adopt(std::move(*link), {}), "no memory for a connection");
    while (bus_->clients() == before) shard_->scheduler().yield();
    return handler_.newest;
  }

  // Nanoseconds a call, over so many of them, each of which has to succeed.
  template <class Send>
  double time(std::uint64_t calls, Send&& send, std::uint64_t& refused) {
    auto made = MutableMessage::create(shard_->ring().buffers(), Command::prepare, 0);
    require_result(made, "no memory for a message");
    const Message one = std::move(*made).freeze();
    std::array<Message, burst> messages;
    std::uint64_t spent = 0;
    std::uint64_t made_calls = 0;
    while (made_calls < calls) {
      messages.fill(one);
      const std::uint64_t from = peers::wall_ns();
      for (Message& message : messages) refused += send(*bus_, message) ? 0 : 1;
      spent += peers::wall_ns() - from;
      made_calls += burst;
      // Until it has all been taken, over there as well.
      while (bus_->counters().sent + bus_->counters().lost != bus_->counters().queued ||
             shard_->counters().lent != shard_->counters().returned)
        (void)shard_->scheduler().sleep_for(std::chrono::microseconds(20));
    }
    return static_cast<double>(spent) / static_cast<double>(made_calls);
  }

  double time_refusals(std::uint64_t calls, std::uint64_t& refusals) {
    const bus::ClientId mute = add_client(false);
    auto made = MutableMessage::create(shard_->ring().buffers(), Command::reply, 0);
    require_result(made, "no memory for a message");
    Message one = std::move(*made).freeze();
    for (int quiet = 0; quiet < 3;) {
      Message message = one;
      quiet = bus_->send_to_client(mute, message) ? 0 : quiet + 1;
      if (quiet != 0) shard_->scheduler().yield();
    }
    const std::uint64_t from = peers::wall_ns();
    for (std::uint64_t i = 0; i < calls; ++i) refusals += bus_->send_to_client(mute, one) ? 0 : 1;
    return static_cast<double>(peers::wall_ns() - from) / static_cast<double>(calls);
  }

  bus::Bus& bus() { return *bus_; }
  bus::ShardRouter& router() { return *router_; }

 private:
  real::Shard* shard_;
  real::RingShardMail mail_;
  Silent handler_;
  std::unique_ptr<bus::Bus> bus_;
  std::unique_ptr<bus::ShardRouter> router_;
};

void time_calls(CalledShard& called, std::uint64_t calls, CallTimes& times) {
  std::uint64_t refused = 0;
  const bus::ClientId near = bus::ClientId::of(0, 1), far = bus::ClientId::of(1, 1);
  const auto to_client = [](bus::ClientId id) {
    return [id](bus::Bus& bus, Message& message) { return bus.send_to_client(id, message); };
  };
  const auto to_replica = [](bus::ReplicaId id) {
    return [id](bus::Bus& bus, Message& message) { return bus.send_to_replica(id, message); };
  };
  times.client = called.time(calls, to_client(near), refused);
  times.replica = called.time(calls, to_replica(near_replica), refused);
  times.far_client = called.time(calls, to_client(far), refused);
  times.far_replica = called.time(calls, to_replica(far_replica), refused);
  // A refusal costs less: it would pass for a fast call.
  if (refused != 0) throw Failure(ExitCode::environment, "a message was not taken");
  times.refused = called.time_refusals(calls, times.refusals);
}

CallTimes measure_calls(std::uint64_t calls) {
  CallTimes times;
  real::RingMailRoom room(2);
  bus::OwnerTable owners;
  std::atomic<bool> there{false};
  auto shards = real::Shards::start({.count = 2, .pin = true}, [&](real::Shard& shard) {
    CalledShard called(shard, room, owners);
    std::exception_ptr failure;
    if (shard.index() == 1) {
      there = true;
      (void)called.bus().shutdown_token().wait(Deadline::never());
    } else {
      while (!there && shard.scheduler().sleep_for(std::chrono::milliseconds(1))) {}
      try {
        if (there) time_calls(called, calls, times);  // otherwise the other one could not begin
      } catch (...) {
        failure = std::current_exception();
      }
      called.router().shut_down_all();
    }
    (void)called.bus().shut_down();  // whatever came: the bus must not be destroyed before
    if (failure) std::rethrow_exception(failure);
  });
  if (!shards) throw Failure(ExitCode::environment, real::explain_no_ring(shards.error()));
  (*shards)->join();
  return times;
}

// --- What a second shard brings -------------------------------------------------------------------------------------

class BusEcho final : public bus::BusHandler {
 public:
  void on_client_messages(bus::ClientId from, std::span<const Message> messages) override {
    for (const Message& message : messages) {
      Message reply = message;
      require_result(bus->send_to_client(from, reply), "an echo was not taken");
    }
  }
  void on_replica_messages(bus::ReplicaId, std::span<const Message>) override {}
  void on_client_lost(bus::ClientId, Error) noexcept override { ++ended; }
  bus::Bus* bus = nullptr;
  std::size_t ended = 0;
};

void serve_bus(std::uint32_t count, std::size_t connections, int out) {
  real::RingMailRoom room(static_cast<std::uint16_t>(count));
  bus::OwnerTable owners;
  std::atomic<std::uint32_t> joined{0};
  real::ShardsOptions options;
  options.count = count;
  options.pin = true;
  auto shards = real::Shards::start(options, [&](real::Shard& shard) {
    BusEcho handler;
    real::RingShardMail mail(room, shard);
    bus::BusOptions own;
    own.shard = static_cast<std::uint16_t>(shard.index());
    own.shards = static_cast<std::uint16_t>(count);
    own.queue_max = 1024;
    auto made = bus::Bus::create(shard.network(), own, handler);
    require_result(made, "no memory for a bus");
    handler.bus = made->get();
    auto router = bus::ShardRouter::join(**made, mail, owners, echo_options());
    require_result(router, "no memory for a bus");
    ++joined;
    while (joined != count) (void)shard.scheduler().sleep_for(std::chrono::milliseconds(1));
    if (shard.index() == 0) {
      const auto at = bus::open_dealt_client_plane(**made, **router, Address::v4(127, 0, 0, 1, 0));
      require_result(at, "cannot listen");
      ::dprintf(out, "port %u\n", unsigned{at->port});
    }
    const std::size_t wanted = (connections + count - 1 - shard.index()) / count;
    while (handler.ended < wanted) (void)shard.scheduler().sleep_for(std::chrono::milliseconds(5));
    if (shard.index() == 0) {
      (*router)->shut_down_all();
    } else {
      (void)(*made)->shutdown_token().wait(Deadline::never());
    }
    (void)(*made)->shut_down();
  });
  if (!shards) throw Failure(ExitCode::environment, real::explain_no_ring(shards.error()));
  (*shards)->join();
}

ExitCode bench_bus(const BusArguments& asked) {
  const auto time = parse_duration(asked.time);
  if (!time || *time <= Duration::zero() || *time > std::chrono::minutes(1))
    bad_usage("'" + asked.time + "' is no duration up to a minute; write 300ms or 1s");
  const std::vector<int> cores = my_cores();
  if (cores.size() < 2)
    throw Failure(ExitCode::environment, "two shards need two processors, and there is 1");
  if (asked.connections < 2) bad_usage("--connections: at least one for each shard");
  std::vector<CallTimes> calls;
  calls.reserve(asked.rounds);
  for (unsigned round = 0; round < asked.rounds; ++round)
    calls.push_back(measure_calls(asked.calls));
  const auto of = [&](double CallTimes::* what) {
    std::vector<double> all;
    all.reserve(calls.size());
    for (const CallTimes& one : calls) all.push_back(one.*what);
    const auto [least, most] = std::ranges::minmax(all);
    return std::vector<std::string>{decimal(median(all), 1), decimal(least, 1), decimal(most, 1)};
  };
  const auto row = [&](std::string name, double CallTimes::* what) {
    std::vector<std::string> cells = of(what);
    cells.insert(cells.begin(), std::move(name));
    return cells;
  };
  std::printf("%s calls of each in bursts of %zu, %u rounds; ns a call\n",
              with_commas(asked.calls).c_str(), burst, asked.rounds);
  std::printf("%s", format_table({{"call", "ns", "least", "most"},
                                  row("send_to_client", &CallTimes::client),
                                  row("send_to_replica", &CallTimes::replica),
                                  row("send_to_client, other shard", &CallTimes::far_client),
                                  row("send_to_replica, other shard", &CallTimes::far_replica),
                                  row("send_to_client, queue full", &CallTimes::refused)},
                                 true)
                        .c_str());
  std::uint64_t refusals = 0;
  for (const CallTimes& one : calls) refusals += one.refusals;
  std::printf("to a full queue: %s of %s refused\n", with_commas(refusals).c_str(),
              with_commas(asked.calls * asked.rounds).c_str());
  const EchoWork work{asked.connections, asked.depth, asked.size,
                      static_cast<std::uint64_t>(time->count())};
  print_echo_shards(2, asked.rounds, cores, work, serve_bus);
  return ExitCode::pass;
}

}  // namespace

void add_bench_bus(CLI::App& bench, ExitCode& code) {
  auto options = std::make_shared<BusArguments>();
  auto* verb = bench.add_subcommand(
      "bus", "what send_to_client and send_to_replica cost, and a second shard brings");
  verb->add_option("--calls", options->calls, "of each kind, in each round")
      ->check(whole_number(1, 1'000'000'000))
      ->capture_default_str();
  verb->add_option("--rounds", options->rounds, "of everything, in turn")
      ->check(whole_number(1, 1000))
      ->capture_default_str();
  verb->add_option("--time", options->time, "of one measurement with one shard, or two")
      ->capture_default_str();
  verb->add_option("--connections", options->connections, "over both clients")
      ->check(whole_number(2, 10'000))
      ->capture_default_str();
  verb->add_option("--depth", options->depth, "messages under way on each")
      ->check(whole_number(1, batch_messages_max))
      ->capture_default_str();
  verb->add_option("--size", options->size, "of a message in bytes, header included")
      ->check(whole_number(header_size, default_max_message))
      ->capture_default_str();
  verb->callback([&code, options] { code = bench_bus(*options); });
}

}  // namespace twinwire::cli
