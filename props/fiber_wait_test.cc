// SPDX-License-Identifier: Apache-2.0
// WaitQueue, Event and Channel: order, wakes that must not get lost, and waits that end early.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "transport/fiber/channel.h"
#include "transport/fiber/scope.h"
#include "transport/fiber/wait_queue.h"

namespace twinwire {
namespace {

class WaitHost final : public Host {
 public:
  TimePoint now() noexcept override { return time; }
  bool turn(TimePoint until, bool idle) override {
    if (!idle) return true;
    if (until == TimePoint::never()) return false;
    time = until;
    return true;
  }
  TimePoint time;
};

struct WaitTest : ::testing::Test {
  WaitHost host;
  StackPool stacks;
  Scheduler scheduler{host, stacks, {}};
  std::vector<std::string> log;
  void note(std::string text) { log.push_back(std::move(text)); }
  using Log = std::vector<std::string>;

  template <class F>
  void in_scope(F&& body) {
    Scope root(scheduler);
    root.spawn("main", [&] { run_scope(scheduler, body); });
    ASSERT_EQ(scheduler.run(), Scheduler::Outcome::finished);
    root.rethrow_failure();
  }
  // A fiber that waits once and notes how that ended.
  FiberHandle waiter(Scope& scope, WaitQueue& queue, std::string name,
                     Deadline deadline = Deadline::never()) {
    return scope.spawn(name, [this, &queue, name, deadline] {
      const Wake wake = queue.wait(scheduler, deadline, "test");
      note(name + (wake == Wake::ready       ? " ready"
                   : wake == Wake::timed_out ? " late"
                                             : " canceled"));
    });
  }
};

TEST_F(WaitTest, first_come_first_served) {
  in_scope([&](Scope& scope) {
    WaitQueue queue;
    for (const char* name : {"a", "b", "c"}) waiter(scope, queue, name);
    scheduler.yield();
    EXPECT_FALSE(queue.empty());
    EXPECT_TRUE(queue.wake_one(scheduler));
    scheduler.yield();
    EXPECT_EQ(log, (Log{"a ready"}));
    queue.wake_all(scheduler);
    scope.join();
    EXPECT_EQ(log, (Log{"a ready", "b ready", "c ready"}));
    EXPECT_FALSE(queue.wake_one(scheduler)) << "a wake that nobody waits for is not kept";
  });
}

TEST_F(WaitTest, a_wake_is_not_used_up_by_a_fiber_that_was_canceled_meanwhile) {
  in_scope([&](Scope& scope) {
    WaitQueue queue;
    const FiberHandle first = waiter(scope, queue, "a");
    waiter(scope, queue, "b");
    scheduler.yield();
    scheduler.cancel(first);  // canceled, but it has not run yet: still in the queue
    EXPECT_TRUE(queue.wake_one(scheduler));
    scope.join();
    EXPECT_EQ(log, (Log{"a canceled", "b ready"}));
  });
}

TEST_F(WaitTest, a_wake_is_not_used_up_by_a_fiber_whose_deadline_passed_in_the_same_turn) {
  in_scope([&](Scope& scope) {
    WaitQueue queue;
    scope.spawn("waker",
                [&] {  // its timer was set first: at 100 it runs while `a` is late but has not run
                  EXPECT_TRUE(scheduler.sleep_until({100}));
                  EXPECT_TRUE(queue.wake_one(scheduler));
                });
    waiter(scope, queue, "a", {{100}});
    waiter(scope, queue, "b");
    scope.join();
    EXPECT_EQ(log, (Log{"a late", "b ready"}));
  });
}

TEST_F(WaitTest, a_canceled_waiter_leaves_the_middle_of_the_queue_whole) {
  in_scope([&](Scope& scope) {
    WaitQueue queue;
    std::vector<FiberHandle> handles;
    for (const char* name : {"a", "b", "c", "d", "e"})
      handles.push_back(waiter(scope, queue, name));
    scheduler.yield();
    for (const std::size_t i : {2u, 4u, 0u}) scheduler.cancel(handles[i]);
    scheduler.yield();
    EXPECT_EQ(log, (Log{"c canceled", "e canceled", "a canceled"}));
    EXPECT_TRUE(queue.wake_one(scheduler));
    EXPECT_TRUE(queue.wake_one(scheduler));
    EXPECT_FALSE(queue.wake_one(scheduler));
    EXPECT_TRUE(queue.empty());
    scope.join();
    EXPECT_EQ(log.size(), 5u);
    EXPECT_EQ(log[3], "b ready");
    EXPECT_EQ(log[4], "d ready");
  });
}

TEST_F(WaitTest, a_fiber_that_is_woken_and_waits_again_goes_to_the_end) {
  in_scope([&](Scope& scope) {
    WaitQueue queue;
    scope.spawn("a", [&] {
      for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(queue.wait(scheduler, Deadline::never(), "test"), Wake::ready);
        note("a");
      }
    });
    waiter(scope, queue, "b");
    scheduler.yield();
    EXPECT_TRUE(queue.wake_one(scheduler));
    scheduler.yield();
    EXPECT_TRUE(queue.wake_one(scheduler));
    scheduler.yield();
    EXPECT_EQ(log, (Log{"a", "b ready"}));
    queue.wake_all(scheduler);
    scope.join();
  });
}

TEST_F(WaitTest, wake_all_wakes_those_who_wait_now_and_not_those_who_wait_again) {
  in_scope([&](Scope& scope) {
    WaitQueue queue;
    int wakes = 0;
    scope.spawn("again", [&] {
      for (int i = 0; i < 3; ++i) {
        (void)queue.wait(scheduler, Deadline::never(), "test");
        ++wakes;
      }
    });
    scheduler.yield();
    queue.wake_all(scheduler);
    scheduler.yield();
    EXPECT_EQ(wakes, 1);
    queue.wake_all(scheduler);
    scheduler.yield();
    EXPECT_EQ(wakes, 2);
    queue.wake_all(scheduler);
    scope.join();
    EXPECT_EQ(wakes, 3);
  });
}

TEST_F(WaitTest, a_queue_that_somebody_waits_in_must_not_be_destroyed) {
  EXPECT_DEATH(in_scope([&](Scope& scope) {
                 auto queue = std::make_unique<WaitQueue>();
                 waiter(scope, *queue, "a");
                 scheduler.yield();
               }),
               "what a fiber waits for was destroyed");
}

// --- Event ---------------------------------------------------------------------------------------------------------

TEST_F(WaitTest, an_event_stays_set_for_all_until_it_is_reset) {
  in_scope([&](Scope& scope) {
    Event event(scheduler);
    EXPECT_EQ(event.wait({{10}}).error(), Errc::timed_out);
    for (int i = 0; i < 3; ++i)
      scope.spawn("waiter", [&] {
        EXPECT_TRUE(event.wait(Deadline::never()));
        note("through");
      });
    scheduler.yield();
    EXPECT_TRUE(log.empty());
    event.set();
    event.set();
    EXPECT_TRUE(event.wait({{0}})) << "set: no wait, so no deadline";
    scope.join();
    EXPECT_EQ(log.size(), 3u);
    event.reset();
    EXPECT_FALSE(event.is_set());
    EXPECT_EQ(event.wait({{20}}).error(), Errc::timed_out);
  });
}

TEST_F(WaitTest, an_event_reset_before_its_waiter_ran_is_waited_for_again) {
  in_scope([&](Scope& scope) {
    Event event(scheduler);
    scope.spawn("waiter", [&] {
      EXPECT_TRUE(event.wait(Deadline::never()));
      EXPECT_TRUE(event.is_set());
      note("through@" + std::to_string(scheduler.now().ns));
    });
    scheduler.yield();
    event.set();
    event.reset();
    EXPECT_TRUE(scheduler.sleep_until({50}));
    EXPECT_TRUE(log.empty());
    event.set();
    scope.join();
    EXPECT_EQ(log, (Log{"through@50"}));
  });
}

TEST_F(WaitTest, an_event_wait_ends_with_cancellation_and_success_wins_a_tie) {
  in_scope([&](Scope& scope) {
    Event event(scheduler);
    const FiberHandle lost = scope.spawn("lost", [&] {
      EXPECT_EQ(event.wait(Deadline::never()).error(), Errc::canceled);
      note("canceled");
    });
    scheduler.yield();
    scheduler.cancel(lost);
    scheduler.yield();
    const FiberHandle lucky = scope.spawn("lucky", [&] {
      EXPECT_TRUE(event.wait(Deadline::never()));
      note("set");
    });
    scheduler.yield();
    scheduler.cancel(lucky);
    event.set();  // after the cancel, before the fiber runs: what it waited for is there
    scope.join();
    EXPECT_EQ(log, (Log{"canceled", "set"}));
  });
}

// --- Channel -------------------------------------------------------------------------------------------------------

using Ints = Channel<int>;

Result<void> send(Ints& channel, int value, Deadline deadline = Deadline::never()) {
  return channel.send(value, deadline);
}

TEST_F(WaitTest, a_full_channel_refuses_or_waits_and_keeps_the_order) {
  in_scope([&](Scope& scope) {
    Ints channel(scheduler, 2);
    EXPECT_TRUE(send(channel, 1));
    EXPECT_TRUE(send(channel, 2));
    int three = 3;
    EXPECT_EQ(channel.try_send(three).error(), Errc::backpressure);
    EXPECT_EQ(three, 3);
    EXPECT_EQ(send(channel, 3, {{10}}).error(), Errc::timed_out);
    EXPECT_EQ(channel.size(), 2u);
    scope.spawn("sender", [&] { EXPECT_TRUE(send(channel, 4)); });
    scheduler.yield();
    for (const int expected : {1, 2, 4}) EXPECT_EQ(*channel.receive(Deadline::never()), expected);
    EXPECT_EQ(channel.receive({{20}}).error(), Errc::timed_out);
    scope.join();
  });
}

TEST_F(WaitTest, a_value_that_could_not_be_sent_is_still_the_callers) {
  in_scope([&](Scope&) {
    Channel<std::unique_ptr<int>> channel(scheduler, 1);
    auto first = std::make_unique<int>(1);
    auto second = std::make_unique<int>(2);
    EXPECT_TRUE(channel.send(first, Deadline::never()));
    EXPECT_EQ(first, nullptr);
    EXPECT_EQ(channel.send(second, {{5}}).error(), Errc::timed_out);
    EXPECT_EQ(channel.try_send(second).error(), Errc::backpressure);
    channel.close();
    EXPECT_EQ(channel.send(second, Deadline::never()).error(), Errc::shutting_down);
    EXPECT_EQ(channel.try_send(second).error(), Errc::shutting_down);
    ASSERT_NE(second, nullptr);
    EXPECT_EQ(*second, 2);
  });
}

TEST_F(WaitTest, a_closed_channel_yields_what_is_queued_and_then_closed_and_wakes_everybody) {
  in_scope([&](Scope& scope) {
    Ints channel(scheduler, 1);
    EXPECT_TRUE(send(channel, 1));
    scope.spawn("sender", [&] { EXPECT_EQ(send(channel, 2).error(), Errc::shutting_down); });
    scheduler.yield();
    channel.close();
    channel.close();
    EXPECT_TRUE(channel.closed());
    scope.join();
    EXPECT_EQ(*channel.receive(Deadline::never()), 1);
    EXPECT_EQ(channel.receive(Deadline::never()).error(), Errc::closed);
    Ints other(scheduler, 1);
    for (int i = 0; i < 3; ++i)
      scope.spawn("receiver",
                  [&] { EXPECT_EQ(other.receive(Deadline::never()).error(), Errc::closed); });
    scheduler.yield();
    other.close();
    scope.join();
  });
}

TEST_F(WaitTest, a_value_for_a_receiver_that_is_canceled_goes_to_the_next) {
  in_scope([&](Scope& scope) {
    Ints channel(scheduler, 4);
    const FiberHandle first = scope.spawn("first", [&] {
      const auto value = channel.receive(Deadline::never());
      note(value ? "first " + std::to_string(*value) : "first canceled");
    });
    scope.spawn("second",
                [&] { note("second " + std::to_string(*channel.receive(Deadline::never()))); });
    scheduler.yield();
    scheduler.cancel(first);
    EXPECT_TRUE(send(channel, 1));
    // The canceled one runs first and finds a value: success wins. The other must then get the next one.
    EXPECT_TRUE(send(channel, 2));
    scope.join();
    EXPECT_EQ(log, (Log{"first 1", "second 2"}));
  });
}

TEST_F(WaitTest, room_freed_for_a_sender_that_is_canceled_goes_to_the_next) {
  in_scope([&](Scope& scope) {
    Ints channel(scheduler, 1);
    EXPECT_TRUE(send(channel, 0));
    const FiberHandle first =
        scope.spawn("first", [&] { note(send(channel, 1) ? "first sent" : "first canceled"); });
    scope.spawn("second", [&] { note(send(channel, 2) ? "second sent" : "second failed"); });
    scheduler.yield();
    scheduler.cancel(first);
    scheduler.yield();
    EXPECT_EQ(log, (Log{"first canceled"}));
    EXPECT_EQ(*channel.receive(Deadline::never()), 0);
    EXPECT_EQ(*channel.receive(Deadline::never()), 2);
    scope.join();
  });
}

TEST_F(WaitTest, a_channel_without_room_is_a_bug) {
  EXPECT_DEATH(Ints(scheduler, 0), "at least one value");
}

}  // namespace
}  // namespace twinwire
