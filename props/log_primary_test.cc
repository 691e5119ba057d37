// SPDX-License-Identifier: Apache-2.0
// What a primary sends, and a backup answers, over a connection between two buses: the other replica is a puppet of the
// test, which says what it likes and writes down what it hears.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "props/memory_storage.h"
#include "props/sim_rig.h"
#include "transport/bus/handshake/handshake.h"
#include "transport/bus/planes.h"
#include "transport/log/replica.h"
#include "transport/log/wal.h"
#include "transport/tcp/tcp.h"

namespace twinwire::log {
namespace {

using namespace std::chrono_literals;

constexpr U128 puppet_cluster{8, 8};

// Applies nothing, and writes down what it is told.
class Notes final : public Application {
 public:
  void apply(Op, std::span<const std::byte>, std::vector<std::byte>&) override {}
  void on_note(const std::string& sentence) noexcept override { all += sentence + "\n"; }
  std::string all;
};

// The other replica.
class Puppet final : public bus::BusHandler {
 public:
  void on_client_messages(bus::ClientId, std::span<const Message>) override {}
  void on_replica_messages(bus::ReplicaId, std::span<const Message> messages) override {
    for (const Message& message : messages) {
      const Op op = Fields(message).op();
      switch (message.header().command()) {
        case Command::prepare: heard += "p" + std::to_string(op) + " "; break;
        case Command::commit: heard += "c" + std::to_string(op) + " "; break;
        case Command::prepare_ok: heard += "ok" + std::to_string(op) + " "; break;
        default: heard += "? "; break;
      }
    }
  }
  void on_replica_connected(bus::ReplicaId) noexcept override { connected = true; }
  void on_replica_lost(bus::ReplicaId, Error) noexcept override { connected = false; }
  // What came since it was last asked.
  std::string news() { return std::exchange(heard, ""); }

  std::string heard;
  bool connected = false;
};

class LogPairTest : public testing::Test {
 protected:
  LogPairTest() {
    options_.cluster = puppet_cluster;
    options_.members = {1, 2, 3};
  }

  // Runs replica `own` with entries 1 to `count` in its log, connected to the puppet, which is 1 or 2; the third member
  // is away.
  void run(bus::ReplicaId own, Op count, const std::function<void()>& body) {
    options_.replica = own;
    sim::expect_clean(sim::run_nodes({}, [&](sim::World& world, sim::SimNetwork& one,
                                             sim::SimNetwork& two, Scope&) {
      world_ = &world;
      network_ = &one;
      fill(count);
      Notes notes;
      notes_ = &notes;
      Replica replica(one, storage_, notes, options_);
      replica_ = &replica;
      std::string why;
      ASSERT_TRUE(replica.recover(why).has_value()) << why;
      puppet_ = {};
      const bus::ReplicaId other = 3 - own;
      const std::vector<bus::Member> members{{own, one.address(port)}, {other, two.address(port)}};
      bus::HandshakeMemory memories[2];
      const auto own_bus = open(one, own, replica, members, memories[0]);
      const auto other_bus = open(two, other, puppet_, members, memories[1]);
      ASSERT_TRUE(own_bus && other_bus);
      puppet_bus_ = other_bus.get();
      ASSERT_TRUE(replica.start(*own_bus).has_value());
      connect();
      body();
      (void)own_bus->shut_down();
      (void)other_bus->shut_down();
    }));
  }

  static std::unique_ptr<bus::Bus> open(sim::SimNetwork& network, bus::ReplicaId id,
                                        bus::BusHandler& handler,
                                        std::span<const bus::Member> members,
                                        bus::HandshakeMemory& memory) {
    bus::BusOptions options;
    options.replica = id;
    options.members = {1, 2, 3};
    options.redial_every = 100ms;
    options.redial_jitter = 10ms;
    bus::HandshakeOptions who;
    who.cluster = puppet_cluster;
    who.id = id;
    who.keys.current = *bus::handshake_key(std::string(64, '5'));
    who.memory = &memory;
    auto made = bus::Bus::create(network, options, handler);
    if (!made) return nullptr;
    const bus::KeyedHandshake handshake(who);
    const auto local = bus::open_replica_plane<Tcp>(**made, network.address(port), {}, handshake);
    EXPECT_TRUE(local.has_value());
    EXPECT_TRUE(bus::join_mesh<Tcp>(**made, members, {}, handshake).has_value());
    return std::move(*made);
  }

  void fill(Op count) {
    Wal wal(storage_, network_->buffers(), network_->scheduler(), {puppet_cluster, 1000});
    std::string why;
    ASSERT_TRUE(wal.recover(network_->random(), [](const std::byte*) {}, why).has_value()) << why;
    checksums_ = {0};
    for (Op op = 1; op <= count; ++op) {
      const std::vector<Message> batch{prepare(op)};
      checksums_.push_back(Fields(batch[0]).checksum());
      ASSERT_TRUE(wal.append(batch) && wal.sync());
    }
  }
  // Each begins a session.
  Message prepare(Op op) {
    return *make_prepare(network_->buffers(),
                         {.cluster = puppet_cluster,
                          .replica = 1,
                          .op = op,
                          .parent = checksums_[op - 1],
                          .client = {op, 1}},
                         {});
  }

  void sleep(Duration d) { (void)world_->scheduler().sleep_for(d); }
  void connect() {
    for (int i = 0; i < 1000 && !puppet_.connected; ++i) sleep(1ms);
    ASSERT_TRUE(puppet_.connected);
    sleep(10ms);
  }
  void reconnect() {
    puppet_bus_->disconnect(options_.replica);
    sleep(1ms);
    EXPECT_FALSE(puppet_.connected);
    (void)puppet_.news();
    connect();
  }
  // The puppet says it, and all that follows from it happens.
  void say(Result<Message> message) {
    ASSERT_TRUE(message.has_value());
    EXPECT_TRUE(puppet_bus_->send_to_replica(options_.replica, *message).has_value());
    sleep(10ms);
  }
  void say_ok(Op op) {
    say(make_prepare_ok(network_->buffers(), puppet_cluster, 2, op, checksums_[op]));
  }

  props::MemoryStorage storage_;
  LogOptions options_;
  sim::World* world_ = nullptr;
  sim::SimNetwork* network_ = nullptr;
  Notes* notes_ = nullptr;
  Replica* replica_ = nullptr;
  bus::Bus* puppet_bus_ = nullptr;
  Puppet puppet_;
  std::vector<std::uint64_t> checksums_;

 private:
  static constexpr std::uint16_t port = 4000;
};

// --- A primary -----------------------------------------------------------------------------------------------------

TEST_F(LogPairTest, a_primary_sends_nothing_before_the_backup_has_spoken) {
  run(1, 5, [&] {
    EXPECT_EQ(puppet_.news(), "");
    say_ok(2);
    EXPECT_EQ(puppet_.news(), "p3 p4 p5 c2 ") << "from the one after the last that it has";
    EXPECT_EQ(replica_->committed(), 2U);
    say_ok(5);
    EXPECT_EQ(puppet_.news(), "c5 ");
    // Over the next connection anew, wherever the last one was.
    reconnect();
    EXPECT_EQ(puppet_.news(), "");
    say_ok(4);
    EXPECT_EQ(puppet_.news(), "p5 c5 ");
    EXPECT_EQ(replica_->counters().sent_again, 1U);
  });
}

TEST_F(LogPairTest, a_primary_is_no_more_than_its_window_ahead_of_a_backup) {
  options_.window = 3;
  run(1, 10, [&] {
    say_ok(0);
    EXPECT_EQ(puppet_.news(), "p1 p2 p3 ");
    say_ok(1);
    EXPECT_EQ(puppet_.news(), "p4 c1 ");
    say_ok(4);
    EXPECT_EQ(puppet_.news(), "p5 p6 p7 c4 ");
  });
}

TEST_F(LogPairTest, a_backup_of_another_history_is_sent_nothing_and_counts_for_nothing) {
  run(1, 5, [&] {
    say(make_prepare_ok(network_->buffers(), puppet_cluster, 2, 4, 12345));
    EXPECT_EQ(replica_->committed(), 0U);
    EXPECT_EQ(puppet_.news(), "c4 ") << "by which it sees the same";
    EXPECT_NE(notes_->all.find("has another entry 4 than the primary"), std::string::npos);
    EXPECT_FALSE(replica_->failed().is_set());
  });
}

TEST_F(LogPairTest, a_backup_that_comes_back_with_less_is_told_of_and_filled_up) {
  run(1, 3, [&] {
    say_ok(3);
    EXPECT_EQ(replica_->committed(), 3U);
    reconnect();
    say_ok(1);
    EXPECT_EQ(puppet_.news(), "p2 p3 c3 ");
    EXPECT_NE(notes_->all.find("had entry 3 and now has 1"), std::string::npos) << notes_->all;
    EXPECT_EQ(replica_->committed(), 3U);
  });
}

// --- A backup ------------------------------------------------------------------------------------------------------

TEST_F(LogPairTest, a_backup_says_what_it_has_over_each_connection_and_when_it_has_more) {
  run(2, 3, [&] {
    EXPECT_EQ(puppet_.news(), "ok3 ");
    checksums_.push_back(0);
    const Message fourth = prepare(4);
    say(fourth);
    EXPECT_EQ(puppet_.news(), "ok4 ");
    say(fourth);
    EXPECT_EQ(puppet_.news(), "ok4 ") << "the primary did not hear the first";
    reconnect();
    EXPECT_EQ(puppet_.news(), "ok4 ");
  });
}

}  // namespace
}  // namespace twinwire::log
