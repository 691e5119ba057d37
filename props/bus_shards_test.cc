// SPDX-License-Identifier: Apache-2.0
// The bus over several shards by example: the owner table between threads; and in the World what is forwarded, refused
// and given back.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "props/bus_rig.h"
#include "props/sim_rig.h"
#include "sim/shard_mail.h"
#include "transport/bus/dealt_plane.h"
#include "transport/bus/planes.h"
#include "transport/tcp/tcp.h"

namespace twinwire::bus {
namespace {

using namespace std::chrono_literals;

// --- Who owns a replica --------------------------------------------------------------------------------------------

TEST(OwnerTable, the_first_claim_has_it_until_it_gives_it_back) {
  OwnerTable owners;
  const OwnerClaim first = owners.claim(7, 0);
  ASSERT_TRUE(first);
  EXPECT_FALSE(owners.claim(7, 1));
  EXPECT_EQ(owners.owner(7), first);
  EXPECT_FALSE(owners.owner(8));
  EXPECT_TRUE(owners.release(7, first));
  EXPECT_FALSE(owners.owner(7));
}

TEST(OwnerTable, a_late_release_never_frees_a_newer_claim) {
  OwnerTable owners;
  const OwnerClaim first = owners.claim(7, 3);
  EXPECT_TRUE(owners.release(7, first));
  const OwnerClaim second = owners.claim(7, 3);
  EXPECT_NE(first, second);
  EXPECT_FALSE(owners.release(7, first));
  EXPECT_EQ(owners.owner(7), second);
  EXPECT_EQ(second.shard(), 3);
  EXPECT_FALSE(owners.release(7, OwnerClaim()));
}

TEST(OwnerTable, of_threads_that_race_one_has_it_at_a_time) {
  OwnerTable owners;
  std::atomic<int> holders{0};
  std::atomic<std::size_t> there{0};
  std::vector<std::thread> threads;
  std::array<int, 3> won{};
  for (std::uint16_t shard = 0; shard < won.size(); ++shard)
    threads.emplace_back([&, shard] {
      ++there;
      while (there != won.size()) std::this_thread::yield();
      while (won[shard] < 2'000) {
        const OwnerClaim mine = owners.claim(1, shard);
        if (!mine) continue;
        ++won[shard];
        EXPECT_EQ(holders.fetch_add(1), 0);
        EXPECT_EQ(owners.owner(1), mine);
        holders.fetch_sub(1);
        EXPECT_TRUE(owners.release(1, mine));
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(owners.owner(1));
}

// --- What is forwarded, in the World -------------------------------------------------------------------------------

class ShardRecorder final : public BusHandler {
 public:
  void on_client_messages(ClientId, std::span<const Message> messages) override {
    heard += messages.size();
  }
  void on_replica_messages(ReplicaId, std::span<const Message>) override {}
  void on_client_connected(ClientId id, const Address& peer) noexcept override {
    clients.push_back(id);
    peers.push_back(peer);
  }
  void on_replica_lost(ReplicaId id, Error) noexcept override {
    if (on_lost) on_lost(id);
  }
  void on_forward_refused(const PeerId& to, Message message, Error why) noexcept override {
    back.push_back({to.client, message.header().view(), why});
    if (on_back) on_back(to.client, std::move(message));
  }
  std::function<void(ClientId, Message)> on_back;
  std::function<void(ReplicaId)> on_lost;
  struct Back {
    ClientId to;
    std::uint32_t view;
    Error why;
  };
  std::vector<ClientId> clients;
  std::vector<Address> peers;
  std::size_t heard = 0;  // messages of clients
  std::vector<Back> back;
};

struct TwoShards {
  sim::World& world;
  sim::SimNetwork& server;
  sim::SimNetwork& client;
  sim::SimShards& mails;
  ShardRecorder* handlers;
  Bus* bus[2];
  ShardRouter* router[2];
  Address dealt;

  void sleep(Duration d) const { (void)world.scheduler().sleep_for(d); }
  Message message(std::uint32_t view) const {
    auto made = MutableMessage::create(server.buffers(), Command::reply, 0);
    made->set_view(view);
    return std::move(*made).freeze();
  }
};

// Runs body(TwoShards&) on two buses that deal their clients out; then shuts both down.
// `clients`: what is set on connections that are dealt out.
template <class F>
void with_two_shards(const sim::SimShardsOptions& lanes, std::size_t queue_max, F&& body,
                     const ConnOptions& clients = {}) {
  sim::expect_clean(sim::run_nodes({}, [&](sim::World& world, sim::SimNetwork& server,
                                           sim::SimNetwork& client, Scope& scope) {
    sim::SimShards mails(world.scheduler(), &world, 99, 0, lanes);
    OwnerTable owners;
    ShardRecorder handlers[2];
    std::unique_ptr<Bus> buses[2];
    std::unique_ptr<ShardRouter> routers[2];
    for (std::uint16_t shard = 0; shard < 2; ++shard) {
      BusOptions options;
      options.shard = shard;
      options.shards = 2;
      options.queue_max = queue_max;
      options.replica = 9;
      options.members = {1};
      buses[shard] = std::move(*Bus::create(server, options, handlers[shard]));
      routers[shard] =
          std::move(*ShardRouter::join(*buses[shard], mails.mail(shard), owners, clients));
    }
    const auto dealt = open_dealt_client_plane(*buses[0], *routers[0], server.address(sim::port));
    ASSERT_TRUE(dealt.has_value());
    TwoShards two{world,
                  server,
                  client,
                  mails,
                  handlers,
                  {buses[0].get(), buses[1].get()},
                  {routers[0].get(), routers[1].get()},
                  *dealt};
    body(two);
    routers[1]->shut_down_all();
    scope.spawn("other", [&] { (void)buses[1]->shut_down(); });
    (void)buses[0]->shut_down();
    scope.join();
    (void)world.scheduler().sleep_for(1ms);  // what one says last to another that has ended
    EXPECT_EQ(mails.lent(), 0u);
    EXPECT_EQ(mails.on_the_way(), 0u);
    EXPECT_EQ(routers[0]->waiting() + routers[1]->waiting(), 0u);
    mails.close();
  }));
}

TEST(BusShards, clients_are_dealt_out_and_sent_to_from_both_shards) {
  with_two_shards({.count = 2}, 256, [](TwoShards& two) {
    auto first = split(std::move(*Tcp::dial(two.client, two.dealt, {}, {})));
    auto second = split(std::move(*Tcp::dial(two.client, two.dealt, {}, {})));
    two.sleep(1ms);
    ASSERT_EQ(two.handlers[0].clients, std::vector{ClientId::of(0, 1)});
    ASSERT_EQ(two.handlers[1].clients, std::vector{ClientId::of(1, 1)});
    for (Bus* bus : two.bus)
      for (std::uint16_t shard = 0; shard < 2; ++shard)
        for (std::uint32_t n = 0; n < 3; ++n)
          EXPECT_TRUE(bus->send_to_client(ClientId::of(shard, 1), two.message(n)).has_value());
    for (auto* halves : {&first, &second})
      for (int n = 0; n < 6; ++n)
        EXPECT_TRUE(halves->first.read_message(default_max_message, {}).has_value());
    EXPECT_EQ(two.router[0]->counters().forwarded, 3u);
    EXPECT_EQ(two.router[1]->counters().arrived, 3u);
    EXPECT_EQ(two.router[0]->counters().streams_given, 1u);
  });
}

TEST(BusShards, a_full_lane_refuses_and_leaves_the_message_to_the_caller) {
  with_two_shards({.count = 2, .mail_max = 4}, 256, [](TwoShards& two) {
    auto a = Tcp::dial(two.client, two.dealt, {}, {});
    auto b = Tcp::dial(two.client, two.dealt, {}, {});
    two.sleep(1ms);
    const std::uint64_t runs = two.world.scheduler().runs();
    for (std::uint32_t n = 0; n < 4; ++n)
      EXPECT_TRUE(two.bus[0]->send_to_client(ClientId::of(1, 1), two.message(n)).has_value());
    Message fifth = two.message(5);
    EXPECT_EQ(two.bus[0]->send_to_client(ClientId::of(1, 1), fifth).error(), Errc::backpressure);
    EXPECT_EQ(fifth.header().view(), 5u);
    EXPECT_EQ(two.world.scheduler().runs(), runs);
    EXPECT_EQ(two.router[0]->counters().forward_refused, 1u);
  });
}

TEST(BusShards, what_cannot_be_queued_over_there_comes_back_in_order) {
  with_two_shards({.count = 2}, 2, [](TwoShards& two) {
    auto a = Tcp::dial(two.client, two.dealt, {}, {});
    auto b = Tcp::dial(two.client, two.dealt, {}, {});
    two.sleep(1ms);
    for (std::uint32_t n = 0; n < 5; ++n)
      EXPECT_TRUE(two.bus[0]->send_to_client(ClientId::of(1, 1), two.message(n)).has_value());
    two.bus[0]->disconnect(ClientId::of(1, 1));  // another's: nothing happens
    EXPECT_TRUE(two.bus[0]->send_to_client(ClientId::of(1, 9), two.message(9)).has_value());
    two.sleep(1ms);
    const auto& back = two.handlers[0].back;
    ASSERT_EQ(back.size(), 4u);
    for (std::uint32_t n = 0; n < 3; ++n) {
      EXPECT_EQ(back[n].view, n + 2);
      EXPECT_EQ(back[n].why, Errc::backpressure);
      EXPECT_EQ(back[n].to, ClientId::of(1, 1));
    }
    EXPECT_EQ(back[3].why, Errc::not_connected);
    EXPECT_EQ(two.router[1]->counters().arrived_refused, 4u);
    EXPECT_EQ(two.router[0]->counters().came_back, 4u);
  });
}

TEST(BusShards, refused_messages_that_are_sent_again_and_again_leave_the_lane_to_others) {
  with_two_shards({.count = 2, .loans_max = 8}, 256, [](TwoShards& two) {
    auto a = Tcp::dial(two.client, two.dealt, {}, {});
    auto b = Tcp::dial(two.client, two.dealt, {}, {});
    two.sleep(1ms);
    bool again = true;
    std::vector<Message> kept;
    two.handlers[0].on_back = [&](ClientId to, Message message) {
      if (!again || !two.bus[0]->send_to_client(to, message)) kept.push_back(std::move(message));
    };
    for (std::uint32_t n = 0; n < 4; ++n)
      EXPECT_TRUE(two.bus[0]->send_to_client(ClientId::of(1, 9), two.message(n)).has_value());
    two.sleep(50ms);
    EXPECT_TRUE(two.bus[0]->send_to_client(ClientId::of(1, 1), two.message(9)).has_value());
    EXPECT_TRUE(kept.empty());
    again = false;
    two.sleep(1ms);
    EXPECT_EQ(kept.size(), 4u);
    EXPECT_GT(two.router[0]->counters().came_back, 1000u);
    EXPECT_EQ(two.mails.lent(), 0u) << "who was refused has its message, and no loan";
    two.handlers[0].on_back = {};
  });
}

TEST(BusShards, what_comes_to_a_shard_that_has_shut_down_goes_back) {
  with_two_shards({.count = 2}, 256, [](TwoShards& two) {
    (void)two.bus[0]->shut_down();
    EXPECT_TRUE(two.bus[1]->send_to_client(ClientId::of(0, 1), two.message(7)).has_value());
    two.sleep(1ms);
    ASSERT_EQ(two.handlers[1].back.size(), 1u);
    EXPECT_EQ(two.handlers[1].back[0].view, 7u);
    EXPECT_EQ(two.handlers[1].back[0].why, Errc::shutting_down);
    EXPECT_EQ(two.router[0]->counters().arrived_refused, 1u);
  });
}

TEST(BusShards, an_id_that_was_never_given_is_nobodys) {
  with_two_shards({.count = 2}, 2, [](TwoShards& two) {
    ClientId forged = ClientId::of(1, 1);
    forged.high |= 1;
    EXPECT_EQ(two.bus[0]->send_to_client(forged, two.message(0)).error(), Errc::not_connected);
    forged = ClientId::of(1, (std::uint64_t{1} << 48) | 1);
    EXPECT_EQ(two.bus[0]->send_to_client(forged, two.message(0)).error(), Errc::not_connected);
    EXPECT_EQ(two.bus[0]->send_to_client(ClientId::of(2, 1), two.message(0)).error(),
              Errc::unreachable);
    EXPECT_EQ(two.bus[0]->send_to_client(ClientId::of(0, 1), two.message(0)).error(),
              Errc::not_connected);
  });
}

TEST(BusShards, clients_that_are_dealt_out_keep_their_options_and_their_address) {
  const auto body = [](TwoShards& two) {
    std::vector<std::pair<Tcp::Reader, Tcp::Writer>> clients;
    for (int i = 0; i < 4; ++i) {
      clients.push_back(split(std::move(*Tcp::dial(two.client, two.dealt, {}, {}))));
      Batch batch(1);
      batch.push(two.message(0));  // without a seal
      EXPECT_TRUE(clients.back().second.send_batch(batch, {}).has_value());
    }
    two.sleep(1ms);
    for (const ShardRecorder* handler : {&two.handlers[0], &two.handlers[1]}) {
      EXPECT_EQ(handler->clients.size(), 2u);
      EXPECT_EQ(handler->heard, 0u) << "seals are to be looked at on every shard";
      for (const Address& peer : handler->peers) {
        EXPECT_EQ(peer.ip, two.client.address().ip);
        EXPECT_NE(peer.port, 0);
      }
    }
  };
  with_two_shards({.count = 2}, 256, body, {.verify_seal = true});
}

// Lanes to a shard that has ended: nothing goes there any more.
class EndedMail final : public ShardMail {
 public:
  std::uint16_t shard() const noexcept override { return 0; }
  std::uint16_t shards() const noexcept override { return 2; }
  void receive_by(MailReceiver* receiver) noexcept override { receiver_ = receiver; }
  Result<void> send(std::uint16_t, const Envelope&, Message&) noexcept override {
    return Errc::shutting_down;
  }
  Result<void> hand_over(std::uint16_t, std::unique_ptr<ByteStream>&, Deadline) override {
    return Errc::shutting_down;
  }
  MailReceiver& receiver() noexcept { return *receiver_; }

 private:
  MailReceiver* receiver_ = nullptr;
};

TEST(BusShards, what_is_to_go_back_to_a_shard_that_has_ended_is_counted_and_nothing_else_is) {
  bus_test::with_node([](sim::World&, sim::SimNetwork& node) {
    EndedMail mail;
    OwnerTable owners;
    ShardRecorder handler;
    BusOptions options;
    options.shards = 2;
    auto bus = std::move(*Bus::create(node, options, handler));
    auto router = std::move(*ShardRouter::join(*bus, mail, owners));
    Envelope envelope;
    envelope.kind = static_cast<std::uint8_t>(Envelope::Kind::to_client);
    envelope.number = 9;
    mail.receiver().on_mail(1, envelope, bus_test::message(node, 1));
    EXPECT_EQ(router->counters().arrived_refused, 1u);
    EXPECT_EQ(router->counters().untold, 1u);
    router->shut_down_all();
    (void)bus->shut_down();
    EXPECT_EQ(router->counters().untold, 1u) << "the words of a shutdown are no messages";
  });
}

// A connection of the World that nobody has accepted into a bus; and its far end.
std::pair<std::unique_ptr<ByteStream>, std::unique_ptr<ByteStream>> connect(const TwoShards& two) {
  auto acceptor = std::move(*two.server.listen(two.server.address(sim::port + 1), {}));
  auto far = std::move(*two.client.dial(acceptor->local(), {}, {}));
  return {std::move(*acceptor->accept({})), std::move(far)};
}

TEST(BusShards,
     a_connection_that_is_handed_over_during_a_shutdown_or_after_it_is_dropped_and_counted) {
  with_two_shards({.count = 2}, 256, [](TwoShards& two) {
    two.bus[1]->trigger_shutdown();
    for (std::uint64_t n = 1; n <= 2; ++n) {
      auto [near, far] = connect(two);
      EXPECT_TRUE(two.mails.mail(0).hand_over(1, near, {}).has_value());
      two.sleep(1ms);
      EXPECT_EQ(two.router[1]->counters().streams_taken, n);
      EXPECT_EQ(two.router[1]->counters().streams_dropped, n);
      EXPECT_EQ(far->read({}).error(), Errc::broken);
      EXPECT_EQ(two.bus[1]->connections_alive(), 0u);
      (void)two.bus[1]->shut_down();
    }
  });
}

// A replica of shard `at` that came and has proven to be number 1.
struct ActedReplica {
  ActedReplica(const TwoShards& two, std::size_t at)
      : acts(two.world.scheduler()), visitors(two.world.scheduler()) {
    acts.authenticate = [](Deadline) { return Result<ReplicaId>(ReplicaId{1}); };
    EXPECT_TRUE(two.bus[at]->open(visitors.door<ReplicaLink>()).has_value());
    visitors.enter(acts);
    two.sleep(1ms);
    EXPECT_TRUE(two.bus[at]->is_connected(ReplicaId{1}));
  }
  bus_test::Acts acts;
  bus_test::Visitors visitors;
};

// Its place is free and its claim not yet given back: it is this very shard that has it, for that moment.
TEST(BusShards, who_sends_to_a_replica_while_it_is_being_lost_is_told_so_and_forwards_nothing) {
  with_two_shards({.count = 2}, 256, [](TwoShards& two) {
    ActedReplica replica(two, 0);
    EXPECT_EQ(two.bus[1]->owner_of(1).shard(), 0);
    int lost = 0;
    two.handlers[0].on_lost = [&](ReplicaId id) {
      ++lost;
      EXPECT_TRUE(two.bus[0]->owner_of(id));
      EXPECT_EQ(two.bus[0]->send_to_replica(id, two.message(5)), Result<void>(Errc::not_connected));
    };
    two.bus[0]->disconnect(ReplicaId{1});
    two.sleep(1ms);
    EXPECT_EQ(lost, 1);
    EXPECT_EQ(two.router[0]->counters().forwarded, 0u);
    EXPECT_FALSE(two.bus[0]->owner_of(1));
    (void)two.bus[0]->shut_down();
  });
}

TEST(BusShards, background_work_has_its_time_once_no_shard_has_a_replica_left) {
  with_two_shards({.count = 2}, 256, [](TwoShards& two) {
    ActedReplica mute(two, 1);
    mute.acts.send = [&](Batch&, Deadline deadline) {
      return Result<void>(mute.acts.wait(deadline));
    };
    two.sleep(1ms);
    EXPECT_TRUE(two.bus[1]->send_to_replica(1, two.message(5)).has_value());
    const Duration limit = two.bus[0]->options().drain_limit;
    ASSERT_TRUE(
        two.bus[0]
            ->spawn_background("ends after the replica", [&] { two.sleep(limit + limit / 2); })
            .has_value());
    two.router[0]->shut_down_all();
    ShutdownOutcome here, there;
    run_scope(two.world.scheduler(), [&](Scope& scope) {
      scope.spawn("other", [&] { there = two.bus[1]->shut_down(); });
      here = two.bus[0]->shut_down();
    });
    EXPECT_EQ(there.forced, 1u);
    EXPECT_EQ(here.background_clean, 1u);
    EXPECT_EQ(here.background_forced, 0u);
  });
}

// Otherwise one who answers his own mail would keep the processor for good.
TEST(BusShards, mail_to_ones_own_shard_comes_another_time) {
  class Echo final : public MailReceiver {
   public:
    explicit Echo(ShardMail& mail) : mail_(&mail) { mail.receive_by(this); }
    ~Echo() { mail_->receive_by(nullptr); }
    void on_mail(std::uint16_t, const Envelope& envelope, Message message) noexcept override {
      if (++taken < 1'000) (void)mail_->send(mail_->shard(), envelope, message);
    }
    void on_stream(std::uint16_t, std::unique_ptr<ByteStream>) noexcept override {}
    void on_stream_lost(std::uint16_t, Error) noexcept override {}
    int taken = 0;

   private:
    ShardMail* mail_;
  };
  sim::expect_clean(sim::run_nodes({}, [](sim::World& world, sim::SimNetwork&, sim::SimNetwork&,
                                          Scope&) {
    sim::SimShards mails(world.scheduler(), &world, 99, 0,
                         {.count = 1, .latency = Duration::zero()});
    Echo echo(mails.mail(0));
    Message nothing;
    ASSERT_TRUE(mails.mail(0).send(0, Envelope{}, nothing).has_value());
    const std::uint64_t before = world.scheduler().runs();
    while (echo.taken < 1'000)
      ASSERT_TRUE(world.scheduler().sleep_for(std::chrono::nanoseconds(1)).has_value());
    EXPECT_GE(world.scheduler().runs() - before, 1'000u) << "all of it within one run of a fiber";
    mails.close();
  }));
}

TEST(BusShards, a_shard_of_another_number_cannot_join) {
  sim::expect_clean(
      sim::run_nodes({}, [](sim::World& world, sim::SimNetwork& server, sim::SimNetwork&, Scope&) {
        sim::SimShards mails(world.scheduler(), &world, 99, 0, {.count = 2});
        OwnerTable owners;
        ShardRecorder handler;
        BusOptions options;
        options.shards = 2;
        options.shard = 2;
        std::string_view why;
        EXPECT_EQ(Bus::create(server, options, handler, &why).error(), Errc::invalid);
        EXPECT_TRUE(why.starts_with("shard is not under shards")) << why;
        options.shard = 1;
        auto bus = Bus::create(server, options, handler);
        ASSERT_TRUE(bus.has_value());
        EXPECT_EQ(ShardRouter::join(**bus, mails.mail(0), owners).error(), Errc::invalid);
        (void)(*bus)->shut_down();
        mails.close();
      }));
}

}  // namespace
}  // namespace twinwire::bus
