// SPDX-License-Identifier: Apache-2.0
// Shards: threads that share nothing and post to each other. What is posted arrives once, in order, and wakes who
// sleeps; a full mailbox says so; messages that are lent go home; the end waits for what is on its way.
// ctest: real_time
#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include "props/kernel_in_between.h"
#include "props/shards_fixture.h"
#include "real/shard_port.h"

namespace twinwire::real {
namespace {

// With wakes by MSG_RING, and by eventfd alone.
class ShardsBothWays : public ShardsRun, public ::testing::WithParamInterface<bool> {
 protected:
  static ShardsOptions of(std::uint32_t count) {
    return {.count = count, .ring_messages = GetParam()};
  }
  static Message message(Shard& shard, std::uint64_t id, std::size_t body = 100) {
    auto made = MutableMessage::create(shard.ring().buffers(), Command::request, body);
    made->set_request_id(id);
    std::ranges::fill(made->body(), static_cast<std::byte>(id));
    return std::move(*made).freeze();
  }
};
INSTANTIATE_TEST_SUITE_P(, ShardsBothWays, ::testing::Bool(),
                         [](const auto& way) { return way.param ? "by_ring_message" : "by_bell"; });

TEST_P(ShardsBothWays, each_body_has_a_thread_and_a_ring_of_its_own) {
  std::array<std::atomic<std::thread::id>, 3> threads{};
  run(of(3), [&](Shard& shard) {
    EXPECT_EQ(shard.count(), 3u);
    EXPECT_TRUE(shard.scheduler().in_fiber());
    threads[shard.index()] = std::this_thread::get_id();
  });
  EXPECT_NE(threads[0].load(), threads[1].load());
  EXPECT_NE(threads[1].load(), threads[2].load());
  EXPECT_NE(threads[0].load(), threads[2].load());
}

TEST_P(ShardsBothWays, a_post_wakes_a_shard_that_sleeps_without_a_deadline) {
  constexpr int rounds = 200;
  std::uint64_t back = 0;
  const ShardCounters counters = run(of(2), [&](Shard& shard) {
    Event turn(shard.scheduler());
    Event* const mine = &turn;
    std::atomic_ref<std::uint64_t> there(back);
    static std::array<std::atomic<Event*>, 2> events;
    events[shard.index()] = mine;
    until(shard, [&] { return events[1 - shard.index()] != nullptr; });
    Event* const theirs = events[1 - shard.index()];
    for (int i = 0; i < rounds; ++i) {
      if (shard.index() == 1) {
        ASSERT_TRUE(turn.wait(Deadline::never()).has_value());
        turn.reset();
        ++there;
      }
      ASSERT_TRUE(shard.post(1 - shard.index(), [theirs](Shard&) { theirs->set(); }).has_value());
      if (shard.index() == 0) {
        ASSERT_TRUE(turn.wait(Deadline::never()).has_value());
        turn.reset();
      }
    }
    // The last post refers to an event over there.
    until(shard, [&] { return there == rounds; });
    events[shard.index()] = nullptr;
  });
  EXPECT_EQ(back, rounds);
  EXPECT_EQ(counters.delivered, 2u * rounds);
  if (GetParam())
    EXPECT_GE(counters.wakes_taken, 2u * rounds);
  else
    EXPECT_EQ(counters.wakes_taken, 0u);
}

TEST_P(ShardsBothWays, posts_of_many_keep_the_order_of_each_and_none_is_lost) {
  constexpr std::uint32_t senders = 3;
  constexpr std::uint64_t each = 20'000;
  std::array<std::uint64_t, senders + 1> next{};
  auto options = of(senders + 1);
  options.mail_max = 64;
  const ShardCounters counters = run(options, [&](Shard& shard) {
    auto* const seen = &next;
    if (shard.index() == 0) {
      return until(shard, [&] {
        return std::accumulate(next.begin(), next.end(), std::uint64_t{0}) == senders * each;
      });
    }
    for (std::uint64_t n = 0; n < each;) {
      const std::uint32_t from = shard.index();
      auto posted = shard.post(0, [seen, from, n](Shard& there) {
        EXPECT_EQ(there.index(), 0u);
        EXPECT_EQ((*seen)[from], n);
        ++(*seen)[from];
      });
      if (posted) {
        ++n;
      } else {
        ASSERT_EQ(posted.error(), Errc::backpressure);
        ASSERT_TRUE(shard.scheduler().sleep_for(microseconds(50)).has_value());
      }
    }
  });
  EXPECT_EQ(counters.delivered, senders * each);
  EXPECT_EQ(counters.dropped, 0u);
  EXPECT_GT(counters.refused, 0u);
  // One wake at a time is on its way for each pair.
  EXPECT_LT(counters.wakes_sent + counters.bells_rung, senders * each);
}

TEST_P(ShardsBothWays, a_full_mailbox_is_backpressure_and_the_function_stays) {
  auto options = of(2);
  options.mail_max = 16;
  std::atomic<bool> full{false};
  std::uint32_t ran = 0;
  run(options, [&](Shard& shard) {
    if (shard.index() == 1) {
      while (!full) std::this_thread::yield();  // the thread is busy: it takes nothing
      return until(shard, [&] { return ran == 17; });
    }
    for (int i = 0; i < 16; ++i)
      ASSERT_TRUE(shard.post(1, [count = &ran](Shard&) { ++*count; }).has_value());
    const auto token = std::make_shared<int>(7);
    auto function = [token, count = &ran](Shard&) { *count += *token == 7 ? 1 : 100; };
    ASSERT_EQ(shard.post(1, std::move(function)).error(), Errc::backpressure);
    EXPECT_EQ(token.use_count(), 2);
    full = true;
    until(shard, [&] { return shard.post(1, std::move(function)).has_value(); });
  });
  EXPECT_EQ(ran, 17u);
}

TEST_P(ShardsBothWays, a_shard_posts_to_itself) {
  run(of(1), [&](Shard& shard) {
    int ran = 0;
    ASSERT_TRUE(shard
                    .post(0,
                          [&](Shard& there) {
                            ++ran;
                            ASSERT_TRUE(there.post(0, [&](Shard&) { ++ran; }).has_value());
                          })
                    .has_value());
    EXPECT_EQ(ran, 0) << "not from inside post";
    until(shard, [&] { return ran == 2; });
  });
}

// More than one look at the lane takes; and nothing comes afterwards that would wake the other once more.
TEST_P(ShardsBothWays, a_burst_arrives_by_one_wake) {
  std::atomic<int> ran{0};
  run(of(2), [&](Shard& shard) {
    if (shard.index() == 0) {
      ASSERT_TRUE(shard.scheduler().sleep_for(milliseconds(20)).has_value());
      for (int i = 0; i < 200; ++i) ASSERT_TRUE(shard.post(1, [&ran](Shard&) { ++ran; }));
    }
    until(shard, [&] { return ran == 200; });
  });
}

TEST_P(ShardsBothWays, a_lent_message_is_not_copied_and_its_memory_goes_home) {
  std::atomic<const std::byte*> at{nullptr};
  std::atomic<bool> ready{false};
  std::atomic<bool> received{false};
  std::atomic<bool> over{false};
  ShardPort::Sender port;
  run(of(2), [&](Shard& shard) {
    if (shard.index() == 1) {
      ShardPort here(shard);
      port = here.sender();
      ready = true;
      auto first = here.receive(soon(shard));
      ASSERT_TRUE(first.has_value());
      EXPECT_EQ(first->bytes().data(), at.load());
      EXPECT_EQ(request_id(*first), 42u);
      const Message copy = *first;  // a count of this shard
      first = Message();
      EXPECT_TRUE(std::ranges::all_of(copy.body(), [](std::byte b) { return b == std::byte{42}; }));
      received = true;
      return until(shard, [&] { return over.load(); });
    }
    until(shard, [&] { return ready.load(); });
    BufferPool& pool = shard.ring().buffers();
    Message sent = message(shard, 42);
    at = sent.bytes().data();
    ASSERT_TRUE(port.send(shard, sent).has_value());
    EXPECT_TRUE(sent.empty());
    until(shard, [&] { return received.load(); });
    EXPECT_EQ(pool.blocks_in_use(), 1u) << "it is still held over there";
    over = true;
    until(shard, [&] { return pool.blocks_in_use() == 0; });
  });
}

TEST_P(ShardsBothWays, as_many_messages_are_lent_as_allowed) {
  auto options = of(2);
  options.loans_max = 8;
  std::atomic<bool> may_drop{false};
  std::atomic<bool> over{false};
  run(options, [&](Shard& shard) {
    static std::vector<Message>* kept;
    static std::atomic<bool> ready;
    if (shard.index() == 1) {
      std::vector<Message> messages;
      kept = &messages;
      ready = true;
      until(shard, [&] { return may_drop.load() && messages.size() == 8; });
      messages.clear();
      until(shard, [&] { return over.load(); });
      ready = false;
      return;
    }
    until(shard, [] { return ready.load(); });
    const auto keep = [](Shard&, Message m) { kept->push_back(std::move(m)); };
    for (std::uint64_t i = 0; i < 8; ++i) {
      Message m = message(shard, i);
      ASSERT_TRUE(shard.post_message(1, m, keep).has_value());
    }
    Message ninth = message(shard, 8);
    EXPECT_EQ(shard.post_message(1, ninth, keep).error(), Errc::backpressure);
    EXPECT_EQ(request_id(ninth), 8u) << "untouched";
    may_drop = true;
    until(shard,
          [&] { return shard.post_message(1, ninth, [](Shard&, const Message&) {}).has_value(); });
    over = true;
  });
}

TEST_P(ShardsBothWays, a_message_is_lent_on_and_goes_home_by_the_same_way) {
  // Round and round through three shards, each lending what it was lent; the last trip is cut short by the end.
  std::array<ShardPort::Sender, 3> ports;
  std::atomic<int> ready{0};
  std::atomic<std::uint64_t> hops{0};
  run(of(3), [&](Shard& shard) {
    ShardPort here(shard);
    ports[shard.index()] = here.sender();
    ++ready;
    until(shard, [&] { return ready == 3; });
    const ShardPort::Sender next = ports[(shard.index() + 1) % 3];
    if (shard.index() == 0)
      for (std::uint64_t i = 0; i < 10; ++i) {
        Message m = message(shard, i);
        ASSERT_TRUE(next.send(shard, m).has_value());
      }
    for (;;) {
      auto m = here.receive(Deadline::never());
      if (!m) break;
      if (++hops == 1000) shard.stop();
      (void)next.send(shard, *m);
    }
  });
  EXPECT_GE(hops.load(), 1000u);
}

TEST_P(ShardsBothWays, a_message_that_is_sent_back_to_its_lender_is_lent_no_more) {
  // To and fro more often than may be lent: each way back ends the loan of the way there. For some time over there a
  // copy is kept; then it is lent back, and that loan ends on the next way there.
  constexpr int rounds = 100;
  auto options = of(2);
  options.loans_max = 4;
  std::array<ShardPort::Sender, 2> ports;
  std::atomic<int> ready{0};
  std::atomic<bool> over{false};
  const ShardCounters counters = run(options, [&](Shard& shard) {
    ShardPort here(shard);
    ports[shard.index()] = here.sender();
    ++ready;
    until(shard, [&] { return ready == 2; });
    if (shard.index() == 1) {
      Message kept;
      for (int i = 0; i < rounds; ++i) {
        auto m = here.receive(soon(shard));
        ASSERT_TRUE(m.has_value());
        if (i == 10) kept = *m;
        if (i == 20) kept = Message();
        ASSERT_TRUE(ports[0].send(shard, *m).has_value());
        EXPECT_TRUE(m->empty());
      }
      return until(shard, [&] { return over.load(); });
    }
    Message m = message(shard, 7);
    const std::byte* const at = m.bytes().data();
    for (int i = 0; i < rounds; ++i) {
      ASSERT_TRUE(ports[1].send(shard, m).has_value());
      auto back = here.receive(soon(shard));
      ASSERT_TRUE(back.has_value());
      EXPECT_EQ(back->bytes().data(), at);
      EXPECT_EQ(request_id(*back), 7u);
      m = std::move(*back);
    }
    m = Message();
    EXPECT_EQ(shard.ring().buffers().blocks_in_use(), 0u) << "it was at home already";
    over = true;
  });
  EXPECT_EQ(counters.lent, static_cast<std::uint64_t>(rounds));
}

// As a transport's own fibers hold what they have of a connection that is gone.
TEST_P(ShardsBothWays, two_shards_hold_a_message_of_each_other_when_their_bodies_return) {
  std::array<std::unique_ptr<Scope>, 2> holders;
  std::atomic<int> ready{0}, held{0};
  run(of(2), [&](Shard& shard) {
    holders[shard.index()] = std::make_unique<Scope>(shard.scheduler(), EntityId{1});
    ++ready;
    until(shard, [&] { return ready == 2; });
    Message m = message(shard, 1);
    const auto hold = [holders = &holders, held = &held](Shard& there, Message arrived) {
      const Duration time = milliseconds(there.index() == 0 ? 300 : 50);
      (*holders)[there.index()]->spawn("holder", [&there, time, m = std::move(arrived)] {
        (void)there.scheduler().sleep_for(time);
      });
      ++*held;
    };
    ASSERT_TRUE(shard.post_message(1 - shard.index(), m, hold).has_value());
    until(shard, [&] { return held == 2; });
  });
  EXPECT_EQ(held, 2);
}

TEST_P(ShardsBothWays, the_end_waits_for_what_is_on_its_way_and_destroys_what_comes_too_late) {
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> alive{0};
    struct Counted {
      explicit Counted(std::atomic<int>& count) : alive(&count) { ++*alive; }
      Counted(Counted&& other) noexcept : alive(other.alive) { ++*alive; }
      ~Counted() { --*alive; }
      std::atomic<int>* alive;
    };
    const ShardCounters counters = run(of(3), [&](Shard& shard) {
      // Everybody posts to everybody until one has had enough.
      for (std::uint64_t n = 0;; ++n) {
        for (std::uint32_t to = 0; to < 3; ++to) {
          (void)shard.post(to,
                           [counted = Counted(alive)](Shard&) { EXPECT_GT(*counted.alive, 0); });
          Message m = message(shard, n);
          (void)shard.post_message(to, m, [](Shard&, const Message& arrived) {
            EXPECT_EQ(arrived.size(), header_size + 100);
          });
        }
        if (shard.index() == 1 && n == 500) shard.stop();
        if (n % 16 == 0 && !shard.scheduler().sleep_for(microseconds(1))) return;
      }
    });
    EXPECT_EQ(alive.load(), 0);
    EXPECT_GT(counters.delivered, 0u);
  }
}

TEST_P(ShardsBothWays, whoever_has_returned_takes_nothing_and_posts_nothing) {
  std::atomic<bool> first_is_over{false};
  std::atomic<int> ran{0};
  const ShardCounters counters = run(of(2), [&](Shard& shard) {
    struct AtEnd {
      std::atomic<bool>* over;
      ~AtEnd() { *over = true; }
    };
    if (shard.index() == 0) {
      const AtEnd end{&first_is_over};
      return;
    }
    until(shard, [&] { return first_is_over.load(); });
    until(shard, [&] {
      auto posted = shard.post(0, [&ran](Shard&) { ++ran; });
      return !posted && posted.error() == Errc::shutting_down;
    });
  });
  EXPECT_EQ(counters.posted, counters.dropped + static_cast<std::uint64_t>(ran.load()));
}

TEST_P(ShardsBothWays, what_left_one_body_is_thrown_and_stops_the_others) {
  std::atomic<int> stopped{0};
  EXPECT_THROW(run(of(3),
                   [&](Shard& shard) {
                     if (shard.index() == 1) throw std::runtime_error("one is enough");
                     until_stopped(shard);
                     ++stopped;
                   }),
               std::runtime_error);
  EXPECT_EQ(stopped.load(), 2);
}

TEST_P(ShardsBothWays, what_left_a_posted_function_ends_the_run) {
  EXPECT_THROW(run(of(2),
                   [&](Shard& shard) {
                     const auto throws = [](Shard&) { throw std::logic_error("no"); };
                     const bool posts = shard.index() == 0;
                     EXPECT_TRUE(!posts || shard.post(1, throws).has_value());
                     until_stopped(shard);
                   }),
               std::logic_error);
}

TEST_P(ShardsBothWays, anybody_may_stop_them) {
  std::atomic<int> stopped{0};
  auto shards = Shards::start(of(2), [&](Shard& shard) {
    until_stopped(shard);
    ++stopped;
  });
  ASSERT_TRUE(shards.has_value());
  (*shards)->stop();
  (*shards)->join();
  EXPECT_EQ(stopped.load(), 2);
}

TEST_P(ShardsBothWays, what_arrives_spawns_fibers_that_are_joined) {
  std::atomic<int> ended{0};
  run(of(2), [&](Shard& shard) {
    std::atomic<int>* const count = &ended;
    if (shard.index() == 1) return until(shard, [&] { return shard.scope().live() == 3; });
    for (int i = 0; i < 3; ++i)
      ASSERT_TRUE(shard
                      .post(1,
                            [count](Shard& there) {
                              there.scope().spawn("guest", [count, &there] {
                                EXPECT_TRUE(
                                    there.scheduler().sleep_for(milliseconds(20)).has_value());
                                ++*count;
                              });
                            })
                      .has_value());
  });
  EXPECT_EQ(ended.load(), 3);
}

using ShardsStart = ShardsRun;

TEST_F(ShardsStart, without_a_ring_nobody_begins) {
  const std::size_t descriptors = open_descriptors();
  ShardsOptions options{.count = 3};
  options.ring.force_probe_failure = EPERM;
  std::atomic<int> ran{0};
  const auto shards = Shards::start(options, [&](Shard&) { ++ran; });
  EXPECT_EQ(shards.error(), Errc::unsupported);
  EXPECT_EQ(shards.error().os_errno, EPERM);
  EXPECT_EQ(ran.load(), 0);
  EXPECT_EQ(open_descriptors(), descriptors);
}

// As one before Linux 5.1 would be.
class NoSendmsg final : public KernelInBetween {
 public:
  bool supports(io_uring& ring, int operation) noexcept override {
    return operation != IORING_OP_SENDMSG && KernelInBetween::supports(ring, operation);
  }
};

TEST_F(ShardsStart, a_kernel_that_lacks_an_operation_is_refused) {
  NoSendmsg kernel;
  ShardsOptions options;
  options.ring.kernel = &kernel;
  EXPECT_EQ(Ring::create(options.ring).error(), Errc::unsupported);
  EXPECT_EQ(Shards::start(options, [](Shard&) { FAIL(); }).error(), Errc::unsupported);
}

// Every MSG_RING goes to a descriptor that is none.
class NoRingMessages final : public KernelInBetween {
 public:
  int poll(io_uring& ring) noexcept override {
    misdirect(ring);
    return KernelInBetween::poll(ring);
  }
  int wait(io_uring& ring, Duration timeout) noexcept override {
    misdirect(ring);
    return KernelInBetween::wait(ring, timeout);
  }
  std::atomic<int> misdirected{0};

 private:
  void misdirect(io_uring& ring) noexcept {
    for_each_request(ring, [&](io_uring_sqe& request) {
      if (request.opcode != IORING_OP_MSG_RING) return;
      request.fd = -1;
      ++misdirected;
    });
  }
};

TEST_F(ShardsStart, where_a_message_between_rings_fails_the_bell_wakes) {
  NoRingMessages kernel;
  ShardsOptions options;
  options.count = 2;
  options.ring.kernel = &kernel;
  std::atomic<bool> arrived{false};
  const ShardCounters counters = run(options, [&](Shard& shard) {
    if (shard.index() == 0) {
      ASSERT_TRUE(shard.scheduler().sleep_for(milliseconds(20)).has_value());
      ASSERT_TRUE(shard.post(1, [&](Shard&) { arrived = true; }));
      return until(shard, [&] { return arrived.load(); });
    }
    Event never(shard.scheduler());  // nothing but the post wakes it, and its end
    shard.scope().spawn("end", [&] {
      until(shard, [&] { return arrived.load(); });
      never.set();
    });
    (void)never.wait(soon(shard));
  });
  EXPECT_TRUE(arrived);
  if (counters.wakes_sent != 0) {  // where the kernel has MSG_RING at all
    EXPECT_GT(kernel.misdirected, 0);
    EXPECT_EQ(counters.wakes_taken, 0u);
    EXPECT_GE(counters.bells_rung, 1u);
  }
}

TEST_F(ShardsStart, numbers_out_of_range_are_refused) {
  const auto refused = [](const ShardsOptions& options) {
    return Shards::start(options, [](Shard&) {}).error();
  };
  EXPECT_EQ(refused({.count = 0}), Errc::invalid);
  EXPECT_EQ(refused({.count = 1, .mail_max = 0}), Errc::invalid);
  EXPECT_EQ(refused({.count = 1, .loans_max = 0}), Errc::invalid);
}

TEST_F(ShardsStart, pinned_shards_stay_on_one_processor_each) {
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  std::array<std::atomic<int>, 2> processor{};
  run({.count = 2, .pin = true}, [&](Shard& shard) {
    cpu_set_t mine;
    ASSERT_EQ(::sched_getaffinity(0, sizeof mine, &mine), 0);
    EXPECT_EQ(CPU_COUNT(&mine), 1);
    processor[shard.index()] = ::sched_getcpu();
    EXPECT_TRUE(CPU_ISSET(::sched_getcpu(), &mine));
  });
  if (CPU_COUNT(&before) < 2) GTEST_SKIP() << "one processor";
  EXPECT_NE(processor[0].load(), processor[1].load());
}

TEST(ShardsDeath, a_posted_function_that_suspends_is_a_bug) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        auto shards = Shards::start({.count = 1}, [](Shard& shard) {
          (void)shard.post(0, [](Shard& there) { there.scheduler().yield(); });
          (void)shard.scheduler().sleep_for(seconds(5));
        });
        (*shards)->join();
      },
      "suspended");
}

TEST(ShardsDeath, a_lent_message_that_outlives_the_body_is_a_bug) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        static std::vector<Message> kept;
        auto shards = Shards::start({.count = 2}, [](Shard& shard) {
          if (shard.index() == 1) return (void)shard.scheduler().sleep_for(milliseconds(200));
          auto made = MutableMessage::create(shard.ring().buffers(), Command::request, 1);
          Message m = std::move(*made).freeze();
          (void)shard.post_message(1, m, [](Shard&, Message arrived) { kept.push_back(arrived); });
          (void)shard.scheduler().sleep_for(milliseconds(50));
        });
        (*shards)->join();
      },
      "held");
}

}  // namespace
}  // namespace twinwire::real
