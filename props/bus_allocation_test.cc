// SPDX-License-Identifier: Apache-2.0
// What send_to_client costs: no allocation, no other fiber's turn; a million messages to a full queue are refused at
// once. (Sanitizers have a malloc of their own.)
// ctest: no_asan no_tsan
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <optional>

#include "props/counted_malloc.h"
#include "props/sim_rig.h"
#include "transport/bus/planes.h"
#include "transport/tcp/tcp.h"

namespace twinwire::bus {
namespace {

using namespace std::chrono_literals;

class OneClient final : public BusHandler {
 public:
  void on_client_messages(ClientId, std::span<const Message>) override {}
  void on_replica_messages(ReplicaId, std::span<const Message>) override {}
  void on_client_connected(ClientId id, const Address&) noexcept override { client = id; }
  std::optional<ClientId> client;
};

// Runs body(bus, client, message, network) with one client, which reads where `reads`.
template <class F>
void with_client(bool reads, F&& body) {
  sim::expect_clean(sim::run_nodes(
      {}, [&](sim::World& world, sim::SimNetwork& server, sim::SimNetwork& node, Scope&) {
        OneClient handler;
        auto made = Bus::create(server, {}, handler);
        ASSERT_TRUE(made.has_value());
        Bus& bus = **made;
        ASSERT_TRUE(open_client_plane<Tcp>(bus, server.address(sim::port), {}).has_value());
        run_scope(world.scheduler(), [&](Scope& scope) {
          scope.spawn("client", [&] {
            auto [reader, writer] =
                split(std::move(*Tcp::dial(node, server.address(sim::port), {}, {})));
            while (reads && reader.read_message(default_max_message, {})) {}
            if (!reads) (void)world.scheduler().sleep_for(1h);
          });
          (void)world.scheduler().sleep_for(1ms);
          ASSERT_TRUE(handler.client.has_value());
          auto message = MutableMessage::create(server.buffers(), Command::reply, 0);
          body(bus, *handler.client, std::move(*message).freeze(), server);
          scope.cancel();
        });
        (void)bus.shut_down();
      }));
}

TEST(BusAllocation, a_send_allocates_nothing_and_lets_nobody_run) {
  with_client(true, [](Bus& bus, ClientId client, const Message& one, sim::SimNetwork& network) {
    Scheduler& scheduler = network.scheduler();
    std::uint64_t allocated = 0;
    for (int round = 0; round < 40; ++round) {
      const std::uint64_t before = allocations;
      const std::uint64_t runs = scheduler.runs();
      for (int i = 0; i < 256; ++i) {
        Message message = one;
        ASSERT_TRUE(bus.send_to_client(client, message).has_value());
      }
      allocated += allocations - before;
      EXPECT_EQ(scheduler.runs(), runs);
      (void)scheduler.sleep_for(10ms);
    }
    EXPECT_EQ(allocated, 0u);
    EXPECT_EQ(bus.counters().sent, 40u * 256u);
  });
}

TEST(BusAllocation, a_million_messages_to_a_full_queue_are_refused_at_once) {
  with_client(false, [](Bus& bus, ClientId client, const Message& one, sim::SimNetwork& network) {
    Scheduler& scheduler = network.scheduler();
    for (int quiet = 0; quiet < 3;) {
      Message message = one;
      quiet = bus.send_to_client(client, message) ? 0 : quiet + 1;
      if (quiet != 0) (void)scheduler.sleep_for(1ms);
    }
    const std::uint64_t before = allocations;
    const std::uint64_t runs = scheduler.runs();
    const TimePoint now = scheduler.now();
    std::uint64_t refused = 0;
    Message message = one;
    for (int i = 0; i < 1'000'000; ++i)
      if (bus.send_to_client(client, message).error() == Errc::backpressure) ++refused;
    EXPECT_EQ(refused, 1'000'000u);
    EXPECT_FALSE(message.empty());
    EXPECT_EQ(allocations, before);
    EXPECT_EQ(scheduler.runs(), runs);
    EXPECT_EQ(scheduler.now(), now);
  });
}

}  // namespace
}  // namespace twinwire::bus
