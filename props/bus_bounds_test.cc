// SPDX-License-Identifier: Apache-2.0
// The bounds of one connection by example: how long a batch may take, how large it is, what is counted when it is lost,
// what a shortage of memory and a peer that never pauses cost; and the table of clients.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <vector>

#include "props/bus_rig.h"
#include "transport/bus/outbox.h"
#include "transport/bus/peer_tables.h"

namespace twinwire::bus::bus_test {
namespace {

// --- What is sent --------------------------------------------------------------------------------------------------

TEST(BusBounds, a_client_that_takes_nothing_is_dropped_after_send_limit_reader_and_all) {
  with_clients(options_of(1), [](Clients& c) {
    auto mute = c.connect();
    c.sleep(1ms);
    const ClientId id = c.handler.clients.at(0);
    for (int i = 0; i < 200; ++i)
      (void)c.bus.send_to_client(id, message(c.server, 1, Command::reply, 10'000));
    c.sleep(c.bus.options().send_limit - 10ms);
    EXPECT_TRUE(c.bus.is_connected(id));
    c.sleep(20ms);
    EXPECT_FALSE(c.bus.is_connected(id));
    EXPECT_EQ(c.bus.connections_alive(), 0u) << "its reader was not woken";
    ASSERT_EQ(c.handler.lost.size(), 1u);
    EXPECT_EQ(c.handler.lost[0].second, Errc::timed_out);
  });
}

// The same where the transport keeps the connection up after a batch that was not taken in time.
TEST(BusBounds, a_writer_that_gives_up_wakes_its_reader) {
  with_node([](sim::World& world, sim::SimNetwork& node) {
    Recorder handler;
    Acts mute(world.scheduler());
    mute.send = [&](Batch&, Deadline deadline) { return Result<void>(mute.wait(deadline)); };
    Visitors visitors(world.scheduler());
    auto bus = std::move(*Bus::create(node, options_of(1), handler));
    ASSERT_TRUE(bus->open(visitors.door<Link>()).has_value());
    visitors.enter(mute);
    (void)world.scheduler().sleep_for(1ms);
    EXPECT_TRUE(bus->send_to_client(ClientId::of(0, 1), message(node, 1)).has_value());
    (void)world.scheduler().sleep_for(bus->options().send_limit + 1ms);
    EXPECT_TRUE(mute.dropped);
    EXPECT_EQ(bus->connections_alive(), 0u);
    EXPECT_EQ(handler.lost.size(), 1u);
    (void)bus->shut_down();
  });
}

// With who has said good-bye the connection is over, and what is queued has drain_limit, not send_limit.
TEST(BusBounds, who_said_good_bye_and_takes_nothing_is_gone_after_drain_limit) {
  with_node([](sim::World& world, sim::SimNetwork& node) {
    Recorder handler;
    Acts gone(world.scheduler());
    gone.send = [&](Batch&, Deadline deadline) { return Result<void>(gone.wait(deadline)); };
    bool said = false;
    Event good_bye(world.scheduler());
    gone.read = [&](Batch&, Deadline) -> Result<void> {
      said = good_bye.wait(Deadline::never()).has_value();
      return said ? Errc::closed : Errc::canceled;
    };
    Visitors visitors(world.scheduler());
    BusOptions options = options_of(1);
    options.max_batch = 1;
    auto bus = std::move(*Bus::create(node, options, handler));
    ASSERT_TRUE(bus->open(visitors.door<Link>()).has_value());
    visitors.enter(gone);
    (void)world.scheduler().sleep_for(1ms);
    good_bye.set();
    EXPECT_TRUE(bus->send_to_client(ClientId::of(0, 1), message(node, 1)).has_value());
    (void)world.scheduler().sleep_for(bus->options().drain_limit + 1ms);
    EXPECT_TRUE(said);
    EXPECT_EQ(bus->connections_alive(), 0u);
    EXPECT_EQ(bus->counters().lost, 1u);
    (void)bus->shut_down();
  });
}

TEST(BusBounds, a_batch_has_at_most_max_batch_messages) {
  with_node([](sim::World& world, sim::SimNetwork& node) {
    Recorder handler;
    Acts peer(world.scheduler());
    std::vector<std::size_t> sizes;
    peer.send = [&](Batch& batch, Deadline) -> Result<void> {
      sizes.push_back(batch.size());
      batch.clear();
      return {};
    };
    Visitors visitors(world.scheduler());
    BusOptions options = options_of(1);
    options.max_batch = 3;
    auto bus = std::move(*Bus::create(node, options, handler));
    ASSERT_TRUE(bus->open(visitors.door<Link>()).has_value());
    visitors.enter(peer);
    (void)world.scheduler().sleep_for(1ms);
    for (int i = 0; i < 10; ++i)
      EXPECT_TRUE(bus->send_to_client(ClientId::of(0, 1), message(node, 1)).has_value());
    (void)world.scheduler().sleep_for(1ms);
    EXPECT_EQ(sizes, (std::vector<std::size_t>{3, 3, 3, 1}));
    EXPECT_EQ(bus->counters().sent, 10u);
    (void)bus->shut_down();
  });
}

// Filled again before it is empty, so that what is queued lies around the end of the ring.
TEST(BusBounds, a_queue_that_goes_round_keeps_all_of_it_in_order) {
  with_node([](sim::World&, sim::SimNetwork& node) {
    for (std::size_t capacity = 1; capacity <= 4; ++capacity) {
      Outbox outbox;
      ASSERT_TRUE(outbox.allocate(capacity));
      Batch batch;
      std::uint64_t in = 0, out = 0;
      for (int round = 0; round < 20; ++round) {
        while (!outbox.full()) outbox.push(message(node, ++in));
        EXPECT_EQ(outbox.size(), capacity);
        outbox.take(batch, 1 + capacity / 2);
        for (const Message& taken : batch.messages()) {
          ASSERT_FALSE(taken.empty());
          EXPECT_EQ(request_id(taken), ++out);
        }
        batch.clear();
      }
      outbox.clear();
      EXPECT_TRUE(outbox.empty());
    }
  });
}

TEST(BusBounds, what_goes_down_with_its_connection_is_counted_as_lost) {
  with_clients(options_of(1), [](Clients& c) {
    auto mute = c.connect();
    c.sleep(1ms);
    const ClientId id = c.handler.clients.at(0);
    const auto fill = [&](int n) {
      for (int i = 0; i < n; ++i)
        EXPECT_TRUE(
            c.bus.send_to_client(id, message(c.server, 1, Command::reply, 100'000)).has_value());
    };
    fill(20);
    c.sleep(10ms);
    fill(5);  // behind the batch that the peer does not take
    c.bus.disconnect(id);
    c.sleep(1ms);
    EXPECT_EQ(c.bus.counters().queued, 25u);
    EXPECT_EQ(c.bus.counters().lost, 25u);
    EXPECT_EQ(c.bus.counters().sent, 0u);
  });
}

TEST(BusBounds, who_is_told_of_a_connection_may_end_it_there_and_then) {
  with_clients(options_of(1), [](Clients& c) {
    c.handler.on_connected = [&](ClientId id) { c.bus.disconnect(id); };
    auto [reader, writer] = c.connect();
    c.sleep(1ms);
    EXPECT_EQ(c.handler.clients.size(), 1u);
    EXPECT_EQ(c.handler.lost.size(), 1u);
    EXPECT_EQ(c.bus.connections_alive(), 0u);
    EXPECT_EQ(reader.read_message(default_max_message, {}).error(), Errc::broken);
  });
}

// --- What is read --------------------------------------------------------------------------------------------------

TEST(BusBounds, a_read_without_memory_is_tried_again) {
  with_node([](sim::World& world, sim::SimNetwork& node) {
    Recorder handler;
    Acts peer(world.scheduler());
    int reads = 0;
    peer.read = [&](Batch& into, Deadline deadline) -> Result<void> {
      if (++reads <= 3) return Errc::no_resources;
      if (reads > 4) return peer.wait(deadline);
      into.push(message(node, 7));
      return {};
    };
    Visitors visitors(world.scheduler());
    auto bus = std::move(*Bus::create(node, options_of(1), handler));
    ASSERT_TRUE(bus->open(visitors.door<Link>()).has_value());
    visitors.enter(peer);
    (void)world.scheduler().sleep_for(100ms);
    EXPECT_EQ(handler.requests, std::vector<std::uint64_t>{7});
    EXPECT_EQ(bus->clients(), 1u);
    (void)bus->shut_down();
  });
}

TEST(BusBounds, a_peer_that_sends_without_end_lets_others_run) {
  with_node([](sim::World& world, sim::SimNetwork& node) {
    Recorder handler;
    Acts peer(world.scheduler());
    int reads = 0;
    peer.read = [&](Batch& into, Deadline deadline) -> Result<void> {
      if (++reads > 1'000) return peer.wait(deadline);
      into.push(message(node, 7));
      return {};
    };
    Event asked(world.scheduler());
    handler.on_request = [&](ClientId, const Message&) { asked.set(); };
    Visitors visitors(world.scheduler());
    auto bus = std::move(*Bus::create(node, options_of(1), handler));
    ASSERT_TRUE(bus->open(visitors.door<Link>()).has_value());
    visitors.enter(peer);
    EXPECT_TRUE(asked.wait(Deadline::never()).has_value());
    EXPECT_LE(reads, 10) << "a fiber that was ready waited for so many reads";
    (void)bus->shut_down();
  });
}

// --- What may be set -----------------------------------------------------------------------------------------------

TEST(BusBounds, a_silence_that_no_heartbeat_breaks_is_refused) {
  BusOptions options = options_of(1);
  EXPECT_EQ(problem_with(options), "");
  options.heartbeat_every = Duration::zero();
  EXPECT_TRUE(problem_with(options).starts_with("heartbeat_every is 0 with a silence_max"))
      << problem_with(options);
  options.silence_max = Duration::zero();
  EXPECT_EQ(problem_with(options), "");
  options.heartbeat_every = 1s;
  EXPECT_EQ(problem_with(options), "");
  options.silence_max = 1s;
  EXPECT_TRUE(problem_with(options).starts_with("silence_max is not over heartbeat_every"));
}

// --- The table of clients ------------------------------------------------------------------------------------------

// A connection for the table, which looks into none.
Connection& nobody(std::size_t n) {
  alignas(Connection) static std::byte places[64 * sizeof(Connection)];
  return *reinterpret_cast<Connection*>(places + n * sizeof(Connection));
}

// Runs body() in a process of its own, which a search without end does not outlive.
template <class F>
void in_time(F&& body) {
  EXPECT_EXIT(
      {
        ::alarm(10);
        body();
        std::exit(testing::Test::HasFailure() ? 1 : 0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(ClientTableDeathTest, whoever_is_not_there_is_not_found_however_many_are) {
  in_time([] {
    ClientTable table;
    EXPECT_EQ(table.find(ClientId::of(0, 1)), nullptr);
    EXPECT_FALSE(table.remove(ClientId::of(0, 1), 1));
    for (std::uint64_t n = 1; n <= 64; ++n) {
      EXPECT_TRUE(table.insert(ClientId::of(0, n), nobody(n - 1), n).value_or(false));
      EXPECT_EQ(table.size(), n);
      EXPECT_EQ(table.find(ClientId::of(0, n + 1)), nullptr);
      EXPECT_EQ(table.token_of(ClientId::of(1, n)), 0u);
    }
    EXPECT_FALSE(table.insert(ClientId::of(0, 9), nobody(0), 99).value_or(true));
    EXPECT_EQ(table.token_of(ClientId::of(0, 9)), 9u);
  });
}

// Against a map, with so few ids that they come and go in each other's way.
TEST(ClientTableDeathTest, it_agrees_with_a_map_whatever_comes_and_goes) {
  in_time([] {
    ClientTable table;
    std::map<std::uint64_t, Token> known;
    sim::SeededRandom random(5);
    for (Token token = 1; token <= 20'000; ++token) {
      const std::uint64_t n = 1 + random.below(64);
      const ClientId id = ClientId::of(3, n);
      if (random.below(2) == 0) {
        EXPECT_EQ(table.insert(id, nobody(n - 1), token).value_or(false),
                  known.emplace(n, token).second);
      } else {
        const Token held = known.contains(n) ? known[n] : token;
        const bool late = random.below(4) == 0;  // of an older connection
        EXPECT_EQ(table.remove(id, late ? held + 1 : held), !late && known.contains(n));
        if (!late) known.erase(n);
      }
      ASSERT_EQ(table.size(), known.size());
      for (std::uint64_t every = 1; every <= 64; ++every)
        ASSERT_EQ(table.token_of(ClientId::of(3, every)), known.contains(every) ? known[every] : 0);
    }
    std::size_t seen = 0;
    table.for_each([&](Connection&) { ++seen; });
    EXPECT_EQ(seen, known.size());
  });
}

}  // namespace
}  // namespace twinwire::bus::bus_test
