// SPDX-License-Identifier: Apache-2.0
// The scheduler alone: who runs when, timers, the host's part, and how a run ends.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "transport/fiber/scope.h"

namespace twinwire {
namespace {

using namespace std::chrono_literals;

// A host with a virtual clock, and events that it lets happen only where no fiber can run.
class SchedulerHost final : public Host {
 public:
  TimePoint now() noexcept override { return time; }
  bool turn(TimePoint until, bool idle) override {
    turns.push_back({until, idle});
    if (on_turn) on_turn();
    if (!idle) return true;
    if (events_to_come > 0) {
      --events_to_come;
      on_event();
      return true;
    }
    if (until == TimePoint::never()) return false;
    time = until;
    return true;
  }
  std::uint64_t wake_priority(EntityId fiber, std::uint64_t nth_wake) noexcept override {
    asked.push_back({fiber, nth_wake});
    return priority ? priority(fiber, nth_wake) : 0;
  }
  void on_run(const Fiber& fiber) noexcept override { ran.emplace_back(fiber.name()); }

  struct Turn {
    TimePoint until;
    bool idle;
  };
  TimePoint time;
  std::vector<Turn> turns;
  std::function<void()> on_turn;
  int events_to_come = 0;
  std::function<void()> on_event;
  std::function<std::uint64_t(EntityId, std::uint64_t)> priority;
  std::vector<std::pair<EntityId, std::uint64_t>> asked;
  std::vector<std::string> ran;
};

struct SchedulerTest : ::testing::Test {
  SchedulerHost host;
  StackPool stacks;
  Scheduler scheduler{host, stacks, {.tells_runs = true}};
  std::vector<std::string> log;
  void note(std::string text) { log.push_back(std::move(text)); }
  using Log = std::vector<std::string>;
};

TEST_F(SchedulerTest, a_run_with_no_fiber_is_finished) {
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  EXPECT_EQ(scheduler.live(), 0u);
  EXPECT_FALSE(scheduler.in_fiber());
}

TEST_F(SchedulerTest, fibers_run_in_the_order_of_their_spawning_and_not_before_run) {
  Scope root(scheduler);
  root.spawn("a", [&] { note("a"); });
  root.spawn("b", [&] { note("b"); });
  EXPECT_TRUE(log.empty());
  EXPECT_EQ(scheduler.live(), 2u);
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  EXPECT_EQ(log, (Log{"a", "b"}));
  EXPECT_EQ(scheduler.runs(), 2u);
}

TEST_F(SchedulerTest, yield_lets_every_ready_fiber_run_first) {
  Scope root(scheduler);
  for (const char* name : {"a", "b", "c"})
    root.spawn(name, [&, name] {
      for (int i = 0; i < 3; ++i) {
        note(name);
        scheduler.yield();
      }
    });
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  EXPECT_EQ(log, (Log{"a", "b", "c", "a", "b", "c", "a", "b", "c"}));
}

TEST_F(SchedulerTest, a_fiber_that_yields_forever_starves_neither_timers_nor_the_host) {
  Scheduler busy(host, stacks, {.runs_per_turn = 10});
  Scope root(busy);
  bool over = false;
  host.on_turn = [&] { host.time = host.time + 1ms; };
  root.spawn("spinner", [&] {
    while (!over) busy.yield();
  });
  root.spawn("sleeper", [&] {
    EXPECT_TRUE(busy.sleep_for(5ms));
    over = true;
  });
  EXPECT_EQ(busy.run(), Scheduler::Outcome::finished);
  ASSERT_GE(host.turns.size(), 5u);
  EXPECT_FALSE(host.turns.front().idle);
  EXPECT_EQ(host.turns.front().until, TimePoint{5'000'000});
}

TEST_F(SchedulerTest, sleepers_wake_in_the_order_of_their_deadlines) {
  Scope root(scheduler);
  for (const int ms : {30, 10, 20})
    root.spawn("sleeper", [&, ms] {
      EXPECT_TRUE(scheduler.sleep_for(std::chrono::milliseconds(ms)));
      note(std::to_string(ms) + "@" + std::to_string(scheduler.now().ns / 1'000'000));
    });
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  EXPECT_EQ(log, (Log{"10@10", "20@20", "30@30"}));
}

TEST_F(SchedulerTest, timers_of_the_same_instant_fire_in_the_order_in_which_they_were_set) {
  Scope root(scheduler);
  for (int i = 0; i < 50; ++i)
    root.spawn("sleeper", [&, i] {
      EXPECT_TRUE(scheduler.sleep_until({1000}));
      note(std::to_string(i));
    });
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(log[static_cast<std::size_t>(i)], std::to_string(i));
}

TEST_F(SchedulerTest, a_wait_whose_deadline_has_passed_times_out_without_suspending) {
  Scope root(scheduler);
  host.time = {100};
  root.spawn("late", [&] {
    EXPECT_EQ(scheduler.park({{100}}, "nothing"), Wake::timed_out);
    EXPECT_EQ(scheduler.park({{-5}}, "nothing"), Wake::timed_out);
  });
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  EXPECT_EQ(scheduler.runs(), 1u);
}

// One timer a fiber, re-armed lazily: the traps are a stale earlier timer and a stale later one.
TEST_F(SchedulerTest, a_timer_left_by_an_earlier_wait_does_not_end_a_later_one) {
  Scope root(scheduler);
  Fiber* waiter = nullptr;
  root.spawn("waiter", [&] {
    waiter = &scheduler.current();
    EXPECT_EQ(scheduler.park({{1000}}, "first"), Wake::ready);
    EXPECT_EQ(scheduler.now(), TimePoint{10});
    EXPECT_EQ(scheduler.park({{5000}}, "second"), Wake::timed_out);
    EXPECT_EQ(scheduler.now(), TimePoint{5000});
  });
  root.spawn("waker", [&] {
    EXPECT_TRUE(scheduler.sleep_until({10}));
    EXPECT_TRUE(scheduler.wake(*waiter));
  });
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
}

TEST_F(SchedulerTest, a_shorter_deadline_after_a_longer_one_is_kept) {
  Scope root(scheduler);
  Fiber* waiter = nullptr;
  root.spawn("waiter", [&] {
    waiter = &scheduler.current();
    EXPECT_EQ(scheduler.park({{5000}}, "first"), Wake::ready);
    EXPECT_EQ(scheduler.park({{20}}, "second"), Wake::timed_out);
    EXPECT_EQ(scheduler.now(), TimePoint{20});
    EXPECT_EQ(scheduler.park({{6000}}, "third"), Wake::timed_out);
    EXPECT_EQ(scheduler.now(), TimePoint{6000});
  });
  root.spawn("waker", [&] {
    EXPECT_TRUE(scheduler.sleep_until({10}));
    EXPECT_TRUE(scheduler.wake(*waiter));
  });
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
}

TEST_F(SchedulerTest, a_stale_timer_does_not_end_a_wait_without_a_deadline) {
  Scope root(scheduler);
  Fiber* waiter = nullptr;
  root.spawn("waiter", [&] {
    waiter = &scheduler.current();
    EXPECT_EQ(scheduler.park({{1000}}, "first"), Wake::ready);
    EXPECT_EQ(scheduler.park(Deadline::never(), "second"), Wake::ready);
    EXPECT_EQ(scheduler.now(), TimePoint{3000});
  });
  root.spawn("waker", [&] {
    EXPECT_TRUE(scheduler.sleep_until({10}));
    EXPECT_TRUE(scheduler.wake(*waiter));
    EXPECT_TRUE(scheduler.sleep_until({3000}));
    EXPECT_TRUE(scheduler.wake(*waiter));
  });
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
}

TEST_F(SchedulerTest, a_fiber_that_ends_takes_its_timer_with_it) {
  Scope root(scheduler);
  Fiber* waiter = nullptr;
  root.spawn("waiter", [&] {
    waiter = &scheduler.current();
    EXPECT_EQ(scheduler.park({{1'000'000}}, "first"), Wake::ready);
  });
  root.spawn("waker", [&] {
    scheduler.yield();
    EXPECT_TRUE(scheduler.wake(*waiter));
  });
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  EXPECT_EQ(host.time, TimePoint{}) << "nobody waited for it";
}

TEST_F(SchedulerTest, only_the_first_wake_of_a_parked_fiber_counts) {
  Scope root(scheduler);
  Fiber* waiter = nullptr;
  root.spawn("waiter", [&] {
    waiter = &scheduler.current();
    EXPECT_EQ(scheduler.park(Deadline::never(), "a wake"), Wake::timed_out);
    EXPECT_EQ(scheduler.park({{10}}, "another"), Wake::timed_out) << "the second wake was not kept";
    EXPECT_EQ(scheduler.now(), TimePoint{10});
  });
  root.spawn("waker", [&] {
    EXPECT_TRUE(scheduler.wake(*waiter, Wake::timed_out));
    EXPECT_FALSE(scheduler.wake(*waiter, Wake::ready));
    EXPECT_FALSE(scheduler.wake(scheduler.current())) << "a running fiber is not parked";
  });
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
}

TEST_F(SchedulerTest, parked_fibers_that_nothing_will_wake_are_stuck_and_say_what_they_wait_for) {
  Scope root(scheduler);
  root.spawn("first", [&] {
    EXPECT_TRUE(scheduler.sleep_for(7ns));
    EXPECT_EQ(scheduler.park(Deadline::never(), "godot"), Wake::canceled);
  });
  root.spawn("second",
             [&] { EXPECT_EQ(scheduler.park(Deadline::never(), "her"), Wake::canceled); });
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::stuck);
  scheduler.for_each_fiber([&](const Fiber& fiber) {
    EXPECT_EQ(fiber.state, Fiber::State::parked);
    note(std::string(fiber.name()) + ":" + fiber.waiting_for + "@" +
         std::to_string(fiber.parked_since.ns));
  });
  EXPECT_EQ(log, (Log{"first:godot@7", "second:her@0"}));
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::stuck) << "asking again changes nothing";
  scheduler.cancel_all();
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
}

TEST_F(SchedulerTest, an_event_of_the_host_keeps_parked_fibers_from_being_stuck) {
  Scope root(scheduler);
  Fiber* waiter = nullptr;
  root.spawn("waiter", [&] {
    waiter = &scheduler.current();
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ(scheduler.park(Deadline::never(), "an event"), Wake::ready);
  });
  host.events_to_come = 3;
  host.on_event = [&] { EXPECT_TRUE(scheduler.wake(*waiter)); };
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  EXPECT_EQ(host.events_to_come, 0);
}

TEST_F(SchedulerTest, stop_returns_after_the_current_fiber_and_run_goes_on_where_it_stopped) {
  Scope root(scheduler);
  root.spawn("a", [&] {
    note("a1");
    scheduler.stop();
    note("a2");
    scheduler.yield();
    note("a3");
  });
  root.spawn("b", [&] { note("b"); });
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::stopped);
  EXPECT_EQ(log, (Log{"a1", "a2"}));
  EXPECT_EQ(scheduler.live(), 2u);
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  EXPECT_EQ(log, (Log{"a1", "a2", "b", "a3"}));
}

TEST_F(SchedulerTest, the_host_may_stop_a_run_from_its_turn) {
  Scope root(scheduler);
  root.spawn("sleeper", [&] { EXPECT_TRUE(scheduler.sleep_for(1s)); });
  host.on_turn = [&] { scheduler.stop(); };
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::stopped);
  host.on_turn = nullptr;
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
}

TEST_F(SchedulerTest, a_scheduler_runs_again_after_it_finished) {
  for (int round = 0; round < 3; ++round) {
    Scope root(scheduler);
    root.spawn("again", [&] { note("ran"); });
    EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  }
  EXPECT_EQ(log.size(), 3u);
  EXPECT_EQ(stacks.created(), 1u);
}

TEST_F(SchedulerTest, a_host_that_orders_wakes_decides_who_runs) {
  Scheduler ordered(host, stacks, {.orders_wakes = true, .tells_runs = true, .root_entity = 7});
  Scope root(ordered);
  std::map<EntityId, std::uint64_t> priorities;
  const std::uint64_t chosen[] = {3, 1, 2, 1};
  for (std::uint64_t i = 0; i < 4; ++i) {
    priorities[child_entity(root.entity(), i)] = chosen[i];
    root.spawn(std::to_string(i), [] {});
  }
  host.asked.clear();
  host.priority = [&](EntityId fiber, std::uint64_t) { return priorities.at(fiber); };
  // The spawns above drew 0 for all: they run in order. What counts is the second wake.
  for (std::uint64_t i = 4; i < 8; ++i) {
    priorities[child_entity(root.entity(), i)] = chosen[i - 4] + 10;
    root.spawn(std::to_string(i), [] {});
  }
  EXPECT_EQ(ordered.run(), Scheduler::Outcome::finished);
  EXPECT_EQ(host.ran, (Log{"0", "1", "2", "3", "5", "7", "6", "4"}));
}

TEST_F(SchedulerTest, a_priority_is_asked_once_per_wake_and_only_where_it_decides) {
  Scheduler ordered(host, stacks, {.orders_wakes = true, .tells_runs = true});
  Scope root(ordered);
  root.spawn("alone", [&] {
    for (int i = 0; i < 5; ++i) ordered.yield();
  });
  EXPECT_EQ(ordered.run(), Scheduler::Outcome::finished);
  EXPECT_TRUE(host.asked.empty()) << "one fiber alone needs no order";
  for (int i = 0; i < 3; ++i)
    root.spawn("one of three", [&] {
      for (int n = 0; n < 20; ++n) ordered.yield();
    });
  EXPECT_EQ(ordered.run(), Scheduler::Outcome::finished);
  std::map<std::pair<EntityId, std::uint64_t>, int> times;
  for (const auto& key : host.asked) ++times[key];
  for (const auto& [key, count] : times) EXPECT_EQ(count, 1) << key.first << " wake " << key.second;
  EXPECT_GE(times.size(), 60u);
}

TEST_F(SchedulerTest, entities_are_named_by_parent_and_ordinal_whatever_else_runs) {
  const auto entities = [&](bool crowd) {
    Scheduler fresh(host, stacks, {.root_entity = 5});
    std::vector<EntityId> seen;
    Scope root(fresh);
    root.spawn("main", [&] {
      run_scope(fresh, [&](Scope& scope) {
        for (int i = 0; i < 3; ++i)
          scope.spawn("child", [&] { seen.push_back(fresh.current().entity); });
        if (crowd) scope.spawn("one more", [] {});
      });
      run_scope(fresh, [&](Scope& scope) {
        scope.spawn("child", [&] { seen.push_back(fresh.current().entity); });
      });
    });
    if (crowd) root.spawn("bystander", [] {});
    EXPECT_EQ(fresh.run(), Scheduler::Outcome::finished);
    return seen;
  };
  const auto quiet = entities(false);
  EXPECT_EQ(quiet.size(), 4u);
  EXPECT_EQ(quiet, entities(true));
}

TEST_F(SchedulerTest, names_are_kept_and_cut_at_39_characters) {
  Scope root(scheduler);
  const std::string long_name(60, 'n');
  root.spawn(long_name, [&] { note(std::string(scheduler.current().name())); });
  root.spawn("", [&] { note(std::string(scheduler.current().name())); });
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  EXPECT_EQ(log, (Log{std::string(39, 'n'), ""}));
}

#ifdef TWINWIRE_TSAN
constexpr int crowd = 4'000;  // its runtime knows about 8,000 fibers
#else
constexpr int crowd = 20'000;
#endif

TEST_F(SchedulerTest, twenty_thousand_fibers_live_at_once) {
  Scope root(scheduler);
  int arrived = 0;
  std::uint64_t sum = 0;
  for (int i = 0; i < crowd; ++i)
    root.spawn("one of many", [&, i] {
      ++arrived;
      EXPECT_TRUE(scheduler.sleep_until({1 + (i * 7919) % crowd}));
      EXPECT_EQ(arrived, crowd) << "all were alive when the first woke";
      sum += static_cast<std::uint64_t>(i);
    });
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  EXPECT_EQ(sum, std::uint64_t{crowd} * (crowd - 1) / 2);
  EXPECT_EQ(stacks.created(), static_cast<std::size_t>(crowd));
  EXPECT_EQ(stacks.in_use(), 0u);
}

using SchedulerDeathTest = SchedulerTest;

TEST_F(SchedulerDeathTest, what_only_a_fiber_may_call_aborts_outside) {
  EXPECT_DEATH(scheduler.current(), "only from inside a fiber");
  EXPECT_DEATH((void)scheduler.sleep_for(1s), "only from inside a fiber");
}

TEST_F(SchedulerDeathTest, run_inside_a_fiber_aborts) {
  EXPECT_DEATH(
      {
        Scope root(scheduler);
        root.spawn("inner", [&] { scheduler.run(); });
        scheduler.run();
      },
      "must not be called from inside a fiber");
}

TEST_F(SchedulerDeathTest, a_scheduler_with_a_live_fiber_must_not_be_destroyed) {
  EXPECT_DEATH(
      {
        auto* doomed = new Scheduler(host, stacks, {});
        auto* root = new Scope(*doomed);
        root->spawn("alive", [] {});
        delete doomed;
      },
      "destroyed while a fiber was alive");
}

}  // namespace
}  // namespace twinwire
