// SPDX-License-Identifier: Apache-2.0
// SharedWriter by example, over a writer that does what the test says: who is told what, and in which batches.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "sim/sim_network.h"
#include "transport/shared/shared_writer.h"

namespace twinwire {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What a ScriptedWriter did, and how it is to end.
struct Script {
  explicit Script(Scheduler& s) noexcept : scheduler(&s) {}
  Scheduler* scheduler;
  Duration takes = milliseconds(10);  // a batch; 0: at once
  std::size_t fails_at = SIZE_MAX;    // the batch of that number
  Error error{Errc::broken, 0};
  std::vector<std::vector<std::uint64_t>> batches;  // ids of the messages
  std::vector<const Message*> allocations;
  int closes = 0;
};

class ScriptedWriter {
 public:
  explicit ScriptedWriter(Script& script) noexcept : script_(&script) {}
  Result<void> send_batch(Batch& batch, Deadline deadline) {
    auto& ids = script_->batches.emplace_back();
    for (const Message& message : batch.messages()) ids.push_back(request_id(message));
    script_->allocations.push_back(batch.messages().data());
    const TimePoint done = script_->scheduler->now() + script_->takes;
    if (script_->takes.count() != 0) {
      const Wake wake =
          script_->scheduler->park(earlier({done}, deadline), "the writer of the script");
      if (wake == Wake::canceled) return Errc::canceled;
      if (deadline.at < done) return Errc::timed_out;
    }
    if (script_->batches.size() - 1 == script_->fails_at) return script_->error;
    batch.clear();
    return {};
  }
  Result<void> close(Duration) {
    ++script_->closes;
    return {};
  }

 private:
  Script* script_;
};

using Shared = SharedWriter<ScriptedWriter>;

class SharedWriterTest : public testing::Test {
 protected:
  // Runs body(scope) in a World of one node.
  template <class F>
  void in_world(F&& body) {
    StackPool stacks;
    sim::World world({}, stacks);
    node_ = &world.add_node("node");
    const auto report = world.run([&](Scope& scope) {
      Script script(scope.scheduler());
      script_ = &script;
      body(scope);
      scope.join();
    });
    EXPECT_EQ(report.ending, sim::Ending::finished);
    EXPECT_EQ(report.leaked_buffers, 0u);
  }
  Scheduler& scheduler() { return node_->scheduler(); }
  Script& script() { return *script_; }
  Deadline in(Duration d) { return node_->clock().in(d); }
  Message message(std::uint64_t id) {
    auto made = MutableMessage::create(node_->buffers(), Command::request, 0);
    made->set_request_id(id);
    return std::move(*made).freeze();
  }
  static Errc error_of(const Result<void>& result) {
    EXPECT_FALSE(result.has_value());
    return result ? Errc::unsupported : result.error().code;
  }

  // A fiber that sends message `id`, and what it was told.
  struct Sender {
    Message message;
    Result<void> told = Errc::unsupported;
    TimePoint at{};
    FiberHandle fiber;
  };
  void spawn(Scope& scope, Shared& shared, Sender& sender, std::uint64_t id,
             Deadline deadline = {}) {
    sender.message = message(id);
    sender.fiber = scope.spawn("sender", [&, deadline] {
      sender.told = shared.send(sender.message, deadline);
      sender.at = node_->clock().now();
    });
  }

  using Ids = std::vector<std::vector<std::uint64_t>>;

 private:
  sim::SimNetwork* node_ = nullptr;
  Script* script_ = nullptr;
};

// The World draws who runs first, so the leader need not be the last to look.
TEST_F(SharedWriterTest, what_is_ready_together_leaves_in_one_batch_or_two) {
  in_world([&](Scope&) {
    Shared shared(scheduler(), ScriptedWriter(script()));
    std::vector<Sender> senders(64);
    run_scope(scheduler(), [&](Scope& scope) {
      for (std::size_t i = 0; i < senders.size(); ++i) spawn(scope, shared, senders[i], i);
    });
    EXPECT_LE(script().batches.size(), 2u);
    for (const Sender& sender : senders) {
      EXPECT_TRUE(sender.told.has_value());
      EXPECT_TRUE(sender.message.empty());
    }
  });
}

TEST_F(SharedWriterTest, what_is_sent_while_a_batch_is_under_way_is_the_next_batch) {
  in_world([&](Scope&) {
    Shared shared(scheduler(), ScriptedWriter(script()));
    std::vector<Sender> senders(4);
    run_scope(scheduler(), [&](Scope& scope) {
      spawn(scope, shared, senders[0], 0);
      for (std::size_t i = 1; i < 4; ++i) {
        (void)scheduler().sleep_for(milliseconds(1));
        spawn(scope, shared, senders[i], i);
      }
    });
    EXPECT_EQ(script().batches, (Ids{{0}, {1, 2, 3}}));
    EXPECT_LT(senders[0].at, senders[1].at);
    EXPECT_EQ(senders[1].at, senders[3].at);
  });
}

TEST_F(SharedWriterTest, a_batch_has_no_more_messages_and_bytes_than_it_may) {
  for (const auto& [messages, bytes, expected] :
       {std::tuple{std::size_t{2}, std::size_t{1000}, Ids{{0}, {1, 2}, {3, 4}}},
        std::tuple{std::size_t{512}, std::size_t{3 * 256}, Ids{{0}, {1, 2, 3}, {4}}},
        std::tuple{std::size_t{512}, std::size_t{1}, Ids{{0}, {1}, {2}, {3}, {4}}}})
    in_world([&, m = messages, b = bytes, e = expected](Scope&) {
      Shared shared(scheduler(), ScriptedWriter(script()), {.batch_max = m, .batch_bytes_max = b});
      std::vector<Sender> senders(5);
      run_scope(scheduler(), [&](Scope& scope) {
        for (std::size_t i = 0; i < senders.size(); ++i) {
          spawn(scope, shared, senders[i], i);
          (void)scheduler().sleep_for(milliseconds(1));
        }
      });
      EXPECT_EQ(script().batches, e);
      for (const Sender& sender : senders) EXPECT_TRUE(sender.told.has_value());
    });
}

TEST_F(SharedWriterTest, who_gives_up_in_the_queue_has_sent_nothing_and_harms_nobody) {
  in_world([&](Scope&) {
    Shared shared(scheduler(), ScriptedWriter(script()));
    std::vector<Sender> senders(5);
    run_scope(scheduler(), [&](Scope& scope) {
      spawn(scope, shared, senders[0], 0);
      (void)scheduler().sleep_for(milliseconds(1));
      spawn(scope, shared, senders[1], 1);
      spawn(scope, shared, senders[2], 2, in(milliseconds(4)));
      spawn(scope, shared, senders[3], 3);
      spawn(scope, shared, senders[4], 4);
      (void)scheduler().sleep_for(milliseconds(2));
      scheduler().cancel(senders[1].fiber);  // it would have led the next batch
      scheduler().cancel(senders[3].fiber);
    });
    EXPECT_EQ(script().batches, (Ids{{0}, {4}}));
    EXPECT_EQ(error_of(senders[1].told), Errc::canceled);
    EXPECT_EQ(error_of(senders[2].told), Errc::timed_out);
    EXPECT_EQ(error_of(senders[3].told), Errc::canceled);
    for (const std::size_t i : {1u, 2u, 3u}) EXPECT_EQ(request_id(senders[i].message), i);
    EXPECT_TRUE(senders[4].told.has_value());
    EXPECT_EQ(senders[2].at, TimePoint{} + milliseconds(5));
  });
}

TEST_F(SharedWriterTest, who_gives_up_while_its_batch_is_under_way_is_told_how_that_went) {
  in_world([&](Scope&) {
    Shared shared(scheduler(), ScriptedWriter(script()));
    std::vector<Sender> senders(4);
    run_scope(scheduler(), [&](Scope& scope) {
      spawn(scope, shared, senders[3], 3);
      (void)scheduler().sleep_for(milliseconds(1));
      for (std::size_t i = 0; i < 3; ++i)
        spawn(scope, shared, senders[i], i, i == 1 ? in(milliseconds(11)) : Deadline::never());
      (void)scheduler().sleep_for(milliseconds(12));
      ASSERT_EQ(script().batches.size(), 2u);
      for (const Sender& sender : senders) scheduler().cancel(sender.fiber);  // the leader, too
    });
    EXPECT_EQ(script().batches.size(), 2u);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_TRUE(senders[i].told.has_value());
      EXPECT_EQ(senders[i].at, TimePoint{} + milliseconds(20));
    }
  });
}

TEST_F(SharedWriterTest, a_leader_that_was_told_to_stop_before_it_began_hands_over) {
  in_world([&](Scope&) {
    Shared shared(scheduler(), ScriptedWriter(script()));
    std::vector<Sender> senders(3);
    run_scope(scheduler(), [&](Scope& scope) {
      for (std::size_t i = 0; i < 2; ++i) spawn(scope, shared, senders[i], i);
      scheduler().yield();  // one of them leads now, and lets the other come first
      for (std::size_t i = 0; i < 2; ++i) scheduler().cancel(senders[i].fiber);
      spawn(scope, shared, senders[2], 2);
    });
    ASSERT_FALSE(script().batches.empty());
    EXPECT_TRUE(senders[2].told.has_value());
    for (std::size_t i = 0; i < 2; ++i)
      EXPECT_TRUE(senders[i].told || senders[i].told.error() == Errc::canceled);
  });
}

TEST_F(SharedWriterTest, a_failed_batch_fails_all_in_it_all_behind_it_and_all_later) {
  in_world([&](Scope&) {
    script().fails_at = 1;
    script().error = {Errc::invalid, 0};
    Shared shared(scheduler(), ScriptedWriter(script()), {.batch_max = 2});
    std::vector<Sender> senders(5);
    run_scope(scheduler(), [&](Scope& scope) {
      for (std::size_t i = 0; i < 5; ++i) {
        spawn(scope, shared, senders[i], i);
        (void)scheduler().sleep_for(milliseconds(1));
      }
    });
    EXPECT_EQ(script().batches, (Ids{{0}, {1, 2}}));
    EXPECT_TRUE(senders[0].told.has_value());
    for (std::size_t i = 1; i < 5; ++i) {
      EXPECT_EQ(error_of(senders[i].told), Errc::invalid);
      EXPECT_EQ(request_id(senders[i].message), i);
      EXPECT_EQ(senders[i].at, senders[1].at);
    }
    EXPECT_EQ(error_of(shared.send(message(9), Deadline::never())), Errc::invalid);
    EXPECT_EQ(error_of(shared.close(seconds(1))), Errc::invalid);
    EXPECT_EQ(script().batches.size(), 2u);
  });
}

// timed_out, canceled and no_resources are promises that nothing was sent.
TEST_F(SharedWriterTest, an_error_that_would_promise_too_much_becomes_broken) {
  for (const Errc code : {Errc::timed_out, Errc::canceled, Errc::no_resources})
    in_world([&](Scope&) {
      script().fails_at = 0;
      script().error = {code, 7};
      Shared shared(scheduler(), ScriptedWriter(script()));
      const auto sent = shared.send(message(0), Deadline::never());
      EXPECT_EQ(error_of(sent), Errc::broken);
      EXPECT_EQ(sent.error().os_errno, 7);
    });
}

TEST_F(SharedWriterTest, a_batch_that_is_not_taken_within_the_limit_ends_the_connection) {
  in_world([&](Scope&) {
    script().takes = seconds(100);
    Shared shared(scheduler(), ScriptedWriter(script()), {.flight_limit = seconds(3)});
    EXPECT_EQ(error_of(shared.send(message(0), in(milliseconds(1)))), Errc::broken);
    EXPECT_EQ(scheduler().now(), TimePoint{} + seconds(3));
  });
}

TEST_F(SharedWriterTest, close_sends_what_is_queued_and_takes_nothing_new) {
  in_world([&](Scope&) {
    Shared shared(scheduler(), ScriptedWriter(script()));
    std::vector<Sender> senders(3);
    run_scope(scheduler(), [&](Scope& scope) {
      spawn(scope, shared, senders[0], 0);
      (void)scheduler().sleep_for(milliseconds(1));
      spawn(scope, shared, senders[1], 1);
      (void)scheduler().sleep_for(milliseconds(1));
      scope.spawn("late", [&] {
        (void)scheduler().sleep_for(milliseconds(1));
        senders[2].message = message(2);
        senders[2].told = shared.send(senders[2].message, Deadline::never());
      });
      EXPECT_TRUE(shared.close(seconds(1)).has_value());
      EXPECT_EQ(script().closes, 1);
      EXPECT_EQ(script().batches, (Ids{{0}, {1}}));
      EXPECT_TRUE(shared.close(seconds(1)).has_value());
      EXPECT_EQ(script().closes, 1);
    });
    EXPECT_TRUE(senders[1].told.has_value());
    EXPECT_EQ(error_of(senders[2].told), Errc::closed);
  });
}

TEST_F(SharedWriterTest, a_close_that_runs_out_of_time_stops_the_flight_and_fails_the_queue) {
  for (const bool by_cancel : {false, true})
    in_world([&](Scope&) {
      script().takes = seconds(100);
      Shared shared(scheduler(), ScriptedWriter(script()), {.flight_limit = seconds(50)});
      std::vector<Sender> senders(2);
      run_scope(scheduler(), [&](Scope& scope) {
        spawn(scope, shared, senders[0], 0);
        (void)scheduler().sleep_for(milliseconds(1));
        spawn(scope, shared, senders[1], 1);
        (void)scheduler().sleep_for(milliseconds(1));
        const FiberHandle closer = scope.spawn("closer", [&] {
          const auto closed = shared.close(by_cancel ? seconds(40) : seconds(2));
          EXPECT_EQ(error_of(closed), by_cancel ? Errc::canceled : Errc::timed_out);
        });
        if (!by_cancel) return;
        (void)scheduler().sleep_for(seconds(2));
        scheduler().cancel(closer);
      });
      for (const Sender& sender : senders) {
        EXPECT_EQ(error_of(sender.told), Errc::broken);
        EXPECT_LE(sender.at, TimePoint{} + seconds(2) + milliseconds(2));
      }
    });
}

TEST_F(SharedWriterTest, its_batches_lie_in_one_allocation) {
  in_world([&](Scope&) {
    script().takes = Duration(0);
    Shared shared(scheduler(), ScriptedWriter(script()));
    run_scope(scheduler(), [&](Scope& scope) {
      for (std::uint64_t i = 0; i < 40; ++i)
        scope.spawn("sender", [&, i] {
          for (int n = 0; n < 10; ++n) {
            Message mine = message(i);
            EXPECT_TRUE(shared.send(mine, Deadline::never()).has_value());
          }
        });
    });
    const auto& seen = script().allocations;
    ASSERT_GE(seen.size(), 10u);
    for (std::size_t i = 3; i < seen.size(); ++i) EXPECT_EQ(seen[i], seen[2]);
  });
}

using SharedWriterDeathTest = SharedWriterTest;

TEST_F(SharedWriterDeathTest, destroying_it_while_a_fiber_waits_inside_aborts) {
  EXPECT_DEATH(in_world([&](Scope& scope) {
                 Sender sender;
                 auto shared = std::make_unique<Shared>(scheduler(), ScriptedWriter(script()));
                 spawn(scope, *shared, sender, 0);
                 (void)scheduler().sleep_for(milliseconds(1));
                 shared.reset();
               }),
               "a shared writer was destroyed while a fiber was inside it");
}

}  // namespace
}  // namespace twinwire
