// SPDX-License-Identifier: Apache-2.0
// Scopes: join, cancellation as a level, shields, exceptions, and what happens when nothing is left to spawn with.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "transport/fiber/scope.h"

namespace twinwire {
namespace {

using namespace std::chrono_literals;

class ScopeHost final : public Host {
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

struct ScopeTest : ::testing::Test {
  ScopeHost host;
  StackPool stacks{StackPool::default_slot_size, 64};
  Scheduler scheduler{host, stacks, {}};
  std::vector<std::string> log;
  void note(std::string text) { log.push_back(std::move(text)); }
  using Log = std::vector<std::string>;

  // Runs `main` in a fiber to the end of all fibers, and rethrows what left it.
  template <class F>
  void in_fiber(F&& main) {
    Scope root(scheduler);
    root.spawn("main", std::forward<F>(main));
    ASSERT_EQ(scheduler.run(), Scheduler::Outcome::finished);
    root.rethrow_failure();
  }
};

TEST_F(ScopeTest, join_waits_for_every_child) {
  in_fiber([&] {
    run_scope(scheduler, [&](Scope& scope) {
      scope.spawn("slow", [&] {
        EXPECT_TRUE(scheduler.sleep_for(20ms));
        note("slow");
      });
      scope.spawn("fast", [&] { note("fast"); });
      note("body");
    });
    note("joined");
  });
  EXPECT_EQ(log, (Log{"body", "fast", "slow", "joined"}));
}

TEST_F(ScopeTest, join_of_an_empty_scope_returns_at_once_and_a_scope_can_be_joined_twice) {
  in_fiber([&] {
    Scope scope(scheduler);
    scope.join();
    scope.spawn("child", [&] { note("child"); });
    scope.join();
    scope.join();
    EXPECT_EQ(scope.live(), 0u);
  });
  EXPECT_EQ(log, (Log{"child"}));
}

TEST_F(ScopeTest, two_fibers_may_join_one_scope) {
  in_fiber([&] {
    Scope scope(scheduler);
    scope.spawn("child", [&] { EXPECT_TRUE(scheduler.sleep_for(5ms)); });
    run_scope(scheduler, [&](Scope& others) {
      others.spawn("other", [&] {
        scope.join();
        note("other");
      });
      scope.join();
      note("main");
    });
  });
  EXPECT_EQ(log.size(), 2u);
}

TEST_F(ScopeTest, a_child_may_spawn_siblings_while_the_scope_is_being_joined) {
  in_fiber([&] {
    run_scope(scheduler, [&](Scope& scope) {
      scope.spawn("first", [&] {
        scheduler.yield();
        scope.spawn("second", [&] { note("second"); });
      });
    });
    note("joined");
  });
  EXPECT_EQ(log, (Log{"second", "joined"}));
}

TEST_F(ScopeTest, cancel_is_a_level_every_later_wait_of_the_fiber_ends_with_it) {
  in_fiber([&] {
    run_scope(scheduler, [&](Scope& scope) {
      scope.spawn("child", [&] {
        for (int i = 0; i < 3; ++i) {
          const auto slept = scheduler.sleep_for(1s);
          ASSERT_FALSE(slept);
          EXPECT_EQ(slept.error(), Errc::canceled);
        }
        EXPECT_TRUE(scheduler.cancel_pending());
        note("ended");
      });
      scheduler.yield();
      scope.cancel();
    });
    EXPECT_EQ(scheduler.now(), TimePoint{}) << "nobody slept";
    EXPECT_FALSE(scheduler.cancel_pending()) << "the parent was not canceled";
  });
  EXPECT_EQ(log, (Log{"ended"}));
}

TEST_F(ScopeTest, a_fiber_canceled_before_it_started_runs_and_finds_its_waits_canceled) {
  in_fiber([&] {
    run_scope(scheduler, [&](Scope& scope) {
      const FiberHandle handle = scope.spawn("child", [&] {
        EXPECT_TRUE(scheduler.cancel_pending());
        EXPECT_EQ(scheduler.park(Deadline::never(), "nothing"), Wake::canceled);
        note("ran");
      });
      scheduler.cancel(handle);
    });
  });
  EXPECT_EQ(log, (Log{"ran"}));
}

TEST_F(ScopeTest, what_a_canceled_scope_spawns_is_canceled) {
  in_fiber([&] {
    run_scope(scheduler, [&](Scope& scope) {
      scope.cancel();
      scope.spawn("late",
                  [&] { EXPECT_EQ(scheduler.park(Deadline::never(), "x"), Wake::canceled); });
    });
  });
}

TEST_F(ScopeTest, a_cancel_that_races_success_delivers_the_success_and_then_the_cancel) {
  in_fiber([&] {
    run_scope(scheduler, [&](Scope& scope) {
      Fiber* child = nullptr;
      const FiberHandle handle = scope.spawn("child", [&] {
        child = &scheduler.current();
        EXPECT_EQ(scheduler.park(Deadline::never(), "success"), Wake::ready);
        EXPECT_EQ(scheduler.park(Deadline::never(), "more"), Wake::canceled);
        note("ended");
      });
      scheduler.yield();
      EXPECT_TRUE(scheduler.wake(*child));
      scheduler.cancel(handle);
    });
  });
  EXPECT_EQ(log, (Log{"ended"}));
}

TEST_F(ScopeTest, a_success_that_comes_after_the_cancel_is_not_delivered) {
  in_fiber([&] {
    run_scope(scheduler, [&](Scope& scope) {
      Fiber* child = nullptr;
      const FiberHandle handle = scope.spawn("child", [&] {
        child = &scheduler.current();
        EXPECT_EQ(scheduler.park(Deadline::never(), "success"), Wake::canceled);
      });
      scheduler.yield();
      scheduler.cancel(handle);
      EXPECT_FALSE(scheduler.wake(*child)) << "whoever wakes learns that nobody took it";
    });
  });
}

TEST_F(ScopeTest, a_deadline_and_a_cancel_of_the_same_instant_give_the_one_that_came_first) {
  in_fiber([&] {
    run_scope(scheduler, [&](Scope& scope) {
      scope.spawn("canceler", [&] {
        EXPECT_TRUE(scheduler.sleep_until({100}));
        scope.cancel();
      });
      scope.spawn("waiter", [&] {  // its timer fires in the same turn, before the canceler runs
        EXPECT_EQ(scheduler.park({{100}}, "x"), Wake::timed_out);
        EXPECT_EQ(scheduler.park({{200}}, "x"), Wake::canceled);
      });
    });
  });
}

TEST_F(ScopeTest, a_shield_holds_the_cancel_back_until_it_ends) {
  in_fiber([&] {
    run_scope(scheduler, [&](Scope& scope) {
      scope.spawn("child", [&] {
        {
          CancelShield outer(scheduler);
          {
            CancelShield inner(scheduler);
            EXPECT_TRUE(scheduler.sleep_for(10ms));
          }
          EXPECT_FALSE(scheduler.cancel_pending());
          EXPECT_TRUE(scheduler.sleep_for(10ms)) << "the outer shield still stands";
        }
        EXPECT_TRUE(scheduler.cancel_pending());
        EXPECT_FALSE(scheduler.sleep_for(10ms));
        note("ended@" + std::to_string(scheduler.now().ns / 1'000'000));
      });
      scheduler.yield();
      scope.cancel();
    });
  });
  EXPECT_EQ(log, (Log{"ended@20"}));
}

TEST_F(ScopeTest, an_interrupt_ends_one_wait_and_no_other_and_respects_a_shield) {
  in_fiber([&] {
    run_scope(scheduler, [&](Scope& scope) {
      const FiberHandle handle = scope.spawn("child", [&] {
        EXPECT_EQ(scheduler.park(Deadline::never(), "one"), Wake::canceled);
        EXPECT_FALSE(scheduler.cancel_pending());
        EXPECT_TRUE(scheduler.sleep_for(1ms)) << "the next wait is not affected";
        const CancelShield shield(scheduler);
        EXPECT_TRUE(scheduler.sleep_for(10ms));
      });
      scheduler.yield();
      scheduler.interrupt(*handle.get());
      scheduler.interrupt(*handle.get());  // it waits for nothing now: no effect
      EXPECT_TRUE(scheduler.sleep_for(2ms));
      scheduler.interrupt(*handle.get());
    });
    EXPECT_EQ(scheduler.now(), TimePoint{11'000'000});
  });
}

TEST_F(ScopeTest, a_canceled_joiner_cancels_the_children_and_still_waits_for_them) {
  in_fiber([&] {
    run_scope(scheduler, [&](Scope& scope) {
      scope.spawn("joiner", [&] {
        run_scope(scheduler, [&](Scope& inner) {
          inner.spawn("grandchild", [&] {
            EXPECT_EQ(scheduler.park(Deadline::never(), "for ever"), Wake::canceled);
            const CancelShield shield(scheduler);
            EXPECT_TRUE(scheduler.sleep_for(50ms));
            note("cleaned up");
          });
        });
        note("joined");
        EXPECT_TRUE(scheduler.cancel_pending()) << "the shield inside join() is gone";
      });
      scheduler.yield();
      scheduler.yield();
      scope.cancel();
    });
  });
  EXPECT_EQ(log, (Log{"cleaned up", "joined"}));
}

TEST_F(ScopeTest, a_fiber_that_was_canceled_before_it_joins_joins_all_the_same) {
  in_fiber([&] {
    run_scope(scheduler, [&](Scope& scope) {
      scope.cancel();
      scope.spawn("joiner", [&] {
        run_scope(scheduler, [&](Scope& inner) {
          inner.spawn("grandchild", [&] {
            EXPECT_FALSE(scheduler.sleep_for(1h));
            note("grandchild");
          });
        });
        note("joined");
      });
    });
  });
  EXPECT_EQ(log, (Log{"grandchild", "joined"}));
}

TEST_F(ScopeTest, an_exception_cancels_the_siblings_and_comes_out_of_join) {
  in_fiber([&] {
    Scope scope(scheduler);
    scope.spawn("patient", [&] {
      EXPECT_FALSE(scheduler.sleep_for(1h));
      note("sibling canceled");
    });
    scope.spawn("failing", [&] {
      scheduler.yield();
      throw std::runtime_error("first");
    });
    try {
      scope.join();
      note("no exception");
    } catch (const std::runtime_error& e) {
      note(e.what());
    }
    scope.join();  // reported once
  });
  EXPECT_EQ(log, (Log{"sibling canceled", "first"}));
  EXPECT_EQ(host.time, TimePoint{});
}

TEST_F(ScopeTest, of_two_exceptions_the_first_is_reported) {
  in_fiber([&] {
    Scope scope(scheduler);
    for (const char* text : {"first", "second"})
      scope.spawn(text, [text] { throw std::runtime_error(text); });
    EXPECT_THROW(
        try { scope.join(); } catch (const std::runtime_error& e) {
          note(e.what());
          throw;
        },
        std::runtime_error);
  });
  EXPECT_EQ(log, (Log{"first"}));
}

TEST_F(ScopeTest, an_exception_of_the_body_cancels_and_joins_the_children_and_wins_over_theirs) {
  EXPECT_THROW(in_fiber([&] {
                 run_scope(scheduler, [&](Scope& scope) {
                   scope.spawn("child", [&] {
                     EXPECT_FALSE(scheduler.sleep_for(1h));
                     note("child ended");
                     throw std::runtime_error("of the child");
                   });
                   scheduler.yield();
                   throw std::logic_error("of the body");
                 });
               }),
               std::logic_error);
  EXPECT_EQ(log, (Log{"child ended"}));
}

TEST_F(ScopeTest, an_exception_climbs_through_nested_scopes_to_the_root) {
  EXPECT_THROW(in_fiber([&] {
                 run_scope(scheduler, [&](Scope& outer) {
                   outer.spawn("middle", [&] {
                     run_scope(scheduler, [&](Scope& inner) {
                       inner.spawn("leaf", [&] { throw std::out_of_range("leaf"); });
                     });
                     ADD_FAILURE() << "run_scope returned";
                   });
                 });
               }),
               std::out_of_range);
}

TEST_F(ScopeTest, anything_can_be_thrown_and_the_callable_is_destroyed_once) {
  const auto counted = std::make_shared<int>(0);
  Scope root(scheduler);
  root.spawn("thrower", [counted] { throw 42; });
  EXPECT_EQ(counted.use_count(), 2);
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  EXPECT_EQ(counted.use_count(), 1);
  EXPECT_THROW(root.rethrow_failure(), int);
  EXPECT_NO_THROW(root.rethrow_failure());
}

// --- Handles -------------------------------------------------------------------------------------------------------

TEST_F(ScopeTest, a_handle_finds_its_fiber_while_it_lives_and_nothing_afterwards) {
  EXPECT_EQ(FiberHandle().get(), nullptr);
  in_fiber([&] {
    FiberHandle handle;
    run_scope(scheduler, [&](Scope& scope) {
      handle = scope.spawn("child", [&] { scheduler.yield(); });
      ASSERT_NE(handle.get(), nullptr);
      EXPECT_EQ(handle.get()->name(), "child");
    });
    EXPECT_EQ(handle.get(), nullptr);
    scheduler.cancel(handle);  // no effect, no harm
    run_scope(scheduler, [&](Scope& scope) {
      const FiberHandle next = scope.spawn("next", [] {});
      EXPECT_EQ(handle.get(), nullptr) << "the same stack, another fiber";
      ASSERT_NE(next.get(), nullptr);
      EXPECT_NE(next.get(), handle.get());
    });
  });
}

// An old handle must never read what a later fiber keeps on the stack: here, a copy of the old control block.
TEST_F(ScopeTest, a_handle_is_not_deceived_by_what_a_later_fiber_has_on_the_same_stack) {
  in_fiber([&] {
    FiberHandle handle;
    alignas(Fiber) std::array<std::byte, sizeof(Fiber)> image;
    run_scope(scheduler, [&](Scope& scope) {
      handle = scope.spawn("small", [] {});
      std::memcpy(image.data(), static_cast<const void*>(handle.get()), sizeof image);
    });
    // The copies fill the place where the old control block would lie below a callable of another size.
    struct Large {
      alignas(64) std::array<std::array<std::byte, (sizeof(Fiber) + 63) / 64 * 64>, 8> copies;
      void operator()() const {}
    } large{};
    for (auto& copy : large.copies) std::memcpy(copy.data(), image.data(), image.size());
    for (int shift = 0; shift < 8; ++shift)
      run_scope(scheduler, [&](Scope& scope) {
        const FiberHandle later = scope.spawn("large", large);
        EXPECT_EQ(handle.get(), nullptr);
        EXPECT_NE(later.get(), nullptr);
        scope.join();
        std::memmove(&large.copies[0][0] + 64, &large.copies[0][0], sizeof large.copies - 64);
      });
    EXPECT_EQ(stacks.created(), 2u);
  });
}

// --- Nothing left to spawn with ------------------------------------------------------------------------------------

TEST_F(ScopeTest, spawning_beyond_the_last_stack_says_no_resources_and_harms_nobody) {
  in_fiber([&] {
    run_scope(scheduler, [&](Scope& scope) {
      std::size_t spawned = 0;
      std::optional<Error> error;
      while (!error) {
        const auto handle =
            scope.try_spawn("child", [&] { EXPECT_TRUE(scheduler.sleep_for(1ms)); });
        if (handle) {
          ++spawned;
        } else {
          error = handle.error();
        }
      }
      EXPECT_EQ(spawned, 63u) << "64 stacks, one of them is ours";
      EXPECT_EQ(*error, Errc::no_resources);
      scope.join();
      EXPECT_TRUE(scope.try_spawn("after", [&] { note("after"); })) << "the stacks came back";
    });
  });
  EXPECT_EQ(log, (Log{"after"}));
}

TEST_F(ScopeTest, a_failed_spawn_gives_no_ordinal_away) {
  in_fiber([&] {
    run_scope(scheduler, [&](Scope& scope) {
      const std::size_t room = 64 - stacks.in_use();
      for (std::size_t i = 0; i < room; ++i) scope.spawn("child", [] {});
      EXPECT_FALSE(scope.try_spawn("none", [] {}));
      scope.join();
      scope.spawn("next", [&, room] {
        EXPECT_EQ(scheduler.current().entity, child_entity(scope.entity(), room));
      });
    });
  });
}

struct ThrowsWhenCopied {
  ThrowsWhenCopied() = default;
  ThrowsWhenCopied(const ThrowsWhenCopied&) { throw std::runtime_error("copy"); }
  void operator()() const {}
};

TEST_F(ScopeTest, a_callable_that_throws_when_it_is_copied_costs_no_stack) {
  in_fiber([&] {
    Scope scope(scheduler);
    const ThrowsWhenCopied callable;
    for (int i = 0; i < 200; ++i)
      EXPECT_THROW((void)scope.try_spawn("child", callable), std::runtime_error);
    EXPECT_EQ(stacks.in_use(), 1u);
    EXPECT_EQ(scope.live(), 0u);
  });
}

using ScopeDeathTest = ScopeTest;

TEST_F(ScopeDeathTest, a_scope_must_not_end_before_its_fibers) {
  EXPECT_DEATH(in_fiber([&] {
                 Scope scope(scheduler);
                 scope.spawn("child", [] {});
               }),
               "destroyed before its fibers were joined");
}

TEST_F(ScopeDeathTest, spawn_without_a_stack_is_a_bug) {
  EXPECT_DEATH(
      {
        Scope root(scheduler);
        for (int i = 0; i < 65; ++i) root.spawn("child", [] {});
      },
      "no stack for a fiber");
}

}  // namespace
}  // namespace twinwire
