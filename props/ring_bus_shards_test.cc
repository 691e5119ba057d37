// SPDX-License-Identifier: Apache-2.0
// The bus over two shards of two nodes, on threads: clients are dealt out by descriptor, each shard answers the clients
// of both, replicas are heard whichever shard has them, and a shutdown of all leaves nothing.
// ctest: real_time
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <set>
#include <vector>

#include "props/shards_fixture.h"
#include "real/shard_mail.h"
#include "transport/bus/dealt_plane.h"
#include "transport/bus/handshake/handshake.h"
#include "transport/bus/planes.h"
#include "transport/tcp/tcp.h"
#include "transport/ws/ws.h"

namespace twinwire::real {
namespace {

using bus::Bus;
using bus::ClientId;
using bus::ReplicaId;

constexpr std::uint32_t bus_shard_count = 2;
constexpr std::uint64_t asks_of_each = 100;      // of each client
constexpr std::uint32_t prepares_of_each = 300;  // of each shard
constexpr int bus_clients_a_shard = 3;

struct ShardNodeUnderTest;

// The application on one shard. Of others it touches what is atomic, and by post.
class ShardEcho final : public bus::BusHandler {
 public:
  ShardEcho(ShardNodeUnderTest& node, Shard& shard) : node_(&node), shard_(&shard) {}

  void on_client_messages(ClientId from, std::span<const Message> messages) override;
  void on_replica_messages(ReplicaId, std::span<const Message> messages) override {
    for (const Message& message : messages) {
      const std::uint32_t number = message.header().view();
      std::uint32_t& next = next_of_shard_[message.header().release()];
      EXPECT_EQ(number, next) << "what one shard sent comes in its order";
      next = number + 1;
      prepared += 1;
    }
  }
  void on_client_connected(ClientId id, const Address&) noexcept override {
    EXPECT_EQ(id.shard(), shard_->index());
    ++clients;
  }
  void on_forward_refused(const bus::PeerId&, Message, Error why) noexcept override {
    if (why == Errc::not_connected) ++came_back;
  }
  void answer(ClientId to, std::uint64_t request);

  Bus* bus = nullptr;
  std::atomic<std::uint32_t> prepared{0};
  std::atomic<std::uint32_t> clients{0};
  std::atomic<std::uint32_t> came_back{0};

 private:
  ShardNodeUnderTest* node_;
  Shard* shard_;
  std::array<std::uint32_t, bus_shard_count> next_of_shard_{};
};

struct ShardNodeUnderTest {
  explicit ShardNodeUnderTest(ReplicaId i) : id(i) {}
  ReplicaId id;
  RingMailRoom room{bus_shard_count};
  bus::OwnerTable owners;
  std::array<std::atomic<ShardEcho*>, bus_shard_count> apps{};
  std::array<std::atomic<std::uint16_t>, bus_shard_count> replica_doors{};
  std::array<std::atomic<std::uint16_t>, bus_shard_count> web_doors{};
  std::atomic<std::uint16_t> dealt_door{0};
  std::atomic<int> clients_done{0};
  std::atomic<std::size_t> clean{0}, forced{0};
  std::atomic<std::uint64_t> forwarded{0}, streams_given{0}, streams_taken{0};
};

void ShardEcho::on_client_messages(ClientId from, std::span<const Message> messages) {
  for (const Message& message : messages) {
    const std::uint64_t request = request_id(message);
    answer(from, request);
    const std::uint32_t other = 1 - shard_->index();
    auto* const there = node_->apps[other].load();
    const auto posted =
        shard_->post(other, [there, from, request](Shard&) { there->answer(from, request); });
    EXPECT_TRUE(posted.has_value());
  }
}

void ShardEcho::answer(ClientId to, std::uint64_t request) {
  auto made = MutableMessage::create(shard_->ring().buffers(), Command::reply, 64);
  made->set_request_id(request);
  made->set_release(shard_->index());
  EXPECT_TRUE(bus->send_to_client(to, std::move(*made).freeze()).has_value());
}

class RingBusShards : public ShardsRun {
 protected:
  static Address at(std::uint16_t port) { return Address::v4(127, 0, 0, 1, port); }

  static bus::BusOptions options_of(const ShardNodeUnderTest& node, const Shard& shard) {
    bus::BusOptions options;
    options.shard = static_cast<std::uint16_t>(shard.index());
    options.shards = bus_shard_count;
    options.replica = node.id;
    options.members = {1, 2};
    options.queue_max = 1024;
    options.redial_every = milliseconds(100);
    options.redial_jitter = milliseconds(20);
    options.drain_limit = milliseconds(500);
    return options;
  }

  // Asks, and hears an answer of each shard.
  template <Transport T>
  static void ask(Shard& shard, ShardNodeUnderTest& node, std::uint16_t port) {
    auto conn = T::dial(shard.network(), at(port), {}, soon(shard));
    ASSERT_TRUE(conn.has_value());
    auto [reader, writer] = split(std::move(*conn));
    Batch batch(1);
    std::array<std::uint64_t, bus_shard_count> heard{};
    for (std::uint64_t n = 1; n <= asks_of_each; ++n) {
      auto made = MutableMessage::create(shard.ring().buffers(), Command::request, 100);
      made->set_request_id(n);
      batch.push(std::move(*made).freeze());
      ASSERT_TRUE(writer.send_batch(batch, soon(shard)).has_value());
      while (heard[0] < n || heard[1] < n) {
        auto reply = reader.read_message(default_max_message, soon(shard));
        ASSERT_TRUE(reply.has_value());
        std::uint64_t& of_shard = heard[reply->header().release()];
        ASSERT_EQ(request_id(*reply), ++of_shard) << "what one shard sent comes in its order";
      }
    }
    EXPECT_TRUE(writer.close(seconds(10)).has_value());
    ++node.clients_done;
  }

  // Calls work(bus, router, app) once both nodes are connected, and shuts down when it is through.
  template <class Work>
  static void serve(Shard& shard, ShardNodeUnderTest& node, const ShardNodeUnderTest& other,
                    Work&& work) {
    ShardEcho app(node, shard);
    RingShardMail mail(node.room, shard);
    bus::HandshakeMemory memory;
    bus::HandshakeOptions handshake;
    handshake.cluster = {3, 4};
    handshake.id = node.id;
    handshake.keys.current.bytes.fill(std::byte{7});
    handshake.memory = &memory;
    const bus::KeyedHandshake who(handshake);
    auto made = Bus::create(shard.network(), options_of(node, shard), app);
    ASSERT_TRUE(made.has_value());
    app.bus = made->get();
    auto router = bus::ShardRouter::join(**made, mail, node.owners);
    ASSERT_TRUE(router.has_value());
    const std::uint32_t mine = shard.index();
    node.apps[mine] = &app;
    until(shard, [&] { return node.apps[1 - mine] != nullptr; });
    const auto replicas = bus::open_replica_plane<Tcp>(**made, loopback, {}, who);
    ASSERT_TRUE(replicas.has_value());
    node.replica_doors[mine] = replicas->port;
    const auto web = bus::open_client_plane<Ws>(**made, loopback, {});
    ASSERT_TRUE(web.has_value());
    node.web_doors[mine] = web->port;
    if (mine == 0) {
      const auto dealt = bus::open_dealt_client_plane(**made, **router, loopback);
      ASSERT_TRUE(dealt.has_value());
      node.dealt_door = dealt->port;
    }
    until(shard, [&] { return node.dealt_door != 0 && other.replica_doors[mine] != 0; });
    const std::vector<bus::Member> members = {{other.id, at(other.replica_doors[mine])}};
    ASSERT_TRUE(bus::join_mesh<Tcp>(**made, members, {}, who).has_value());
    until(shard, [&] { return bool(node.owners.owner(other.id)); });
    work(**made, **router, app);
    const bus::ShutdownOutcome outcome = (*made)->shut_down();
    node.clean += outcome.clean;
    node.forced += outcome.forced;
    node.forwarded += (*router)->counters().forwarded;
    node.streams_given += (*router)->counters().streams_given;
    node.streams_taken += (*router)->counters().streams_taken;
    EXPECT_EQ((*made)->connections_alive(), 0u);
    EXPECT_EQ((*router)->waiting(), 0u);
  }
};

TEST_F(RingBusShards, two_nodes_of_two_shards_serve_and_leave_nothing) {
  const std::size_t descriptors = open_descriptors();
  ShardNodeUnderTest nodes[] = {ShardNodeUnderTest(1), ShardNodeUnderTest(2)};
  const auto body = [&](std::size_t which) {
    return [&, which](Shard& shard) {
      ShardNodeUnderTest& node = nodes[which];
      ShardNodeUnderTest& other = nodes[1 - which];
      serve(shard, node, other, [&](Bus& bus, bus::ShardRouter& router, ShardEcho& app) {
        run_scope(shard.scheduler(), [&](Scope& scope) {
          for (int i = 0; i < bus_clients_a_shard; ++i) {
            scope.spawn("dealt client", [&] { ask<Tcp>(shard, node, node.dealt_door); });
            scope.spawn("web client", [&] { ask<Ws>(shard, node, node.web_doors[shard.index()]); });
          }
          for (std::uint32_t n = 0; n < prepares_of_each; ++n) {
            auto made = MutableMessage::create(shard.ring().buffers(), Command::prepare, 32);
            made->set_view(n);
            made->set_release(shard.index());
            EXPECT_TRUE(bus.send_to_replica(other.id, std::move(*made).freeze()).has_value());
            if (n % 16 == 0) (void)shard.scheduler().sleep_for(microseconds(100));
          }
        });
        const int all = static_cast<int>(2 * bus_clients_a_shard * bus_shard_count);
        until(shard, [&] {
          return node.clients_done == all && other.clients_done == all &&
                 node.apps[0].load()->prepared + node.apps[1].load()->prepared ==
                     prepares_of_each * bus_shard_count;
        });
        if (shard.index() == 1)
          router.shut_down_all();
        else
          (void)bus.shutdown_token().wait(soon(shard));
        EXPECT_TRUE(bus.stopping());
        (void)app;
      });
      // The other node's shards look at what these have counted.
      (void)shard.scheduler().sleep_for(milliseconds(50));
    };
  };
  {
    auto first = Shards::start({.count = bus_shard_count}, body(0));
    auto second = Shards::start({.count = bus_shard_count}, body(1));
    ASSERT_TRUE(first && second) << explain_no_ring(first.error());
    (*first)->join();
    (*second)->join();
    for (const auto* run : {first->get(), second->get()}) {
      std::uint64_t posted = 0, ended = 0, lent = 0, returned = 0;
      for (std::uint32_t i = 0; i < bus_shard_count; ++i) {
        const ShardCounters& counters = run->counters(i);
        posted += counters.posted;
        ended += counters.delivered + counters.dropped;
        lent += counters.lent;
        returned += counters.returned;
      }
      EXPECT_EQ(posted, ended);
      EXPECT_EQ(lent, returned);
      EXPECT_GE(lent, asks_of_each * 2 * bus_clients_a_shard * bus_shard_count);
    }
  }
  EXPECT_EQ(open_descriptors(), descriptors) << "descriptors leaked";
  for (const ShardNodeUnderTest& node : nodes) {
    EXPECT_EQ(node.forced, 0u);
    EXPECT_EQ(node.streams_given, node.streams_taken);
    EXPECT_EQ(node.streams_given, bus_clients_a_shard * bus_shard_count / 2u);
    EXPECT_GE(node.forwarded, asks_of_each * 2 * bus_clients_a_shard * bus_shard_count);
    for (const ReplicaId id : {1, 2}) EXPECT_FALSE(node.owners.owner(id));
  }
}

// A client that reads nothing, filled by the other shard; and sends to it after it was dropped come back.
TEST_F(RingBusShards, a_mute_client_of_another_shard_is_refused_and_forced) {
  ShardNodeUnderTest node(1), nobody(2);
  std::atomic<std::uint64_t> refused{0};
  std::atomic<bool> full{false};
  run({.count = bus_shard_count, .mail_max = 64}, [&](Shard& shard) {
    ShardEcho app(node, shard);
    RingShardMail mail(node.room, shard);
    auto options = options_of(node, shard);
    options.queue_max = 16;
    auto made = Bus::create(shard.network(), options, app);
    ASSERT_TRUE(made.has_value());
    app.bus = made->get();
    auto router = bus::ShardRouter::join(**made, mail, node.owners);
    ASSERT_TRUE(router.has_value());
    node.apps[shard.index()] = &app;
    until(shard, [&] { return node.apps[1 - shard.index()] != nullptr; });
    if (shard.index() == 0) {
      const auto door = bus::open_client_plane<Tcp>(**made, loopback, {});
      ASSERT_TRUE(door.has_value());
      auto mute = Tcp::dial(shard.network(), *door, {}, soon(shard));
      auto dropped = Tcp::dial(shard.network(), *door, {}, soon(shard));
      ASSERT_TRUE(mute && dropped);
      until(shard, [&] { return full.load(); });
      (*made)->disconnect(ClientId::of(0, 2));
      until(shard, [&] { return node.apps[1].load()->came_back != 0; });
      (*router)->shut_down_all();
      node.forced = (*made)->shut_down().forced;
    } else {
      until(shard, [&] { return node.apps[0].load()->clients == 2; });
      for (int in_a_row = 0; in_a_row < 200;) {
        auto message = MutableMessage::create(shard.ring().buffers(), Command::reply, 60'000);
        const auto sent = (*made)->send_to_client(ClientId::of(0, 1), std::move(*message).freeze());
        in_a_row = sent ? 0 : in_a_row + 1;
        if (!sent) {
          EXPECT_EQ(sent.error(), Errc::backpressure);
          ++refused;
        }
        // What the queue over there refuses comes back: so in the end only the lane's own bound does.
        if ((*router)->counters().came_back > 100) break;
        if (!sent) (void)shard.scheduler().sleep_for(microseconds(200));
      }
      full = true;
      while (app.came_back == 0) {
        auto message = MutableMessage::create(shard.ring().buffers(), Command::reply, 0);
        (void)(*made)->send_to_client(ClientId::of(0, 2), std::move(*message).freeze());
        if (!shard.scheduler().sleep_for(milliseconds(1))) break;
      }
      (void)(*made)->shutdown_token().wait(soon(shard));
      (void)(*made)->shut_down();
    }
  });
  EXPECT_EQ(node.forced, 1u);
}

}  // namespace
}  // namespace twinwire::real
