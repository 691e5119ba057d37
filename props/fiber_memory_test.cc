// SPDX-License-Identifier: Apache-2.0
// The heap says no: spawning reports it, and waits and wakes need none. An executable of its own, since it replaces the
// global operator new.
// ctest: alone
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <new>
#include <vector>

#include "transport/fiber/channel.h"
#include "transport/fiber/scope.h"

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

namespace {
bool heap_is_exhausted = false;
}  // namespace

[[gnu::noinline]] void* operator new(std::size_t size) {
  if (heap_is_exhausted) throw std::bad_alloc();
  if (void* memory = std::malloc(size != 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace twinwire {
namespace {

class TestHost final : public Host {
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

struct Exhausted {
  Exhausted() { heap_is_exhausted = true; }
  ~Exhausted() { heap_is_exhausted = false; }
};

struct MemoryTest : ::testing::TestWithParam<bool> {
  void SetUp() override {
    if (RUNNING_ON_VALGRIND) GTEST_SKIP() << "the tool puts an operator new of its own before ours";
  }
  TestHost host;
  StackPool stacks;
  Scheduler scheduler{host, stacks, {.orders_wakes = GetParam()}};
};
INSTANTIATE_TEST_SUITE_P(by, MemoryTest, ::testing::Bool(),
                         [](const auto& run) { return run.param ? "priority" : "fifo"; });

TEST_P(MemoryTest, fibers_that_exist_wait_wake_and_end_without_the_heap) {
  int ended = 0;
  {
    Scope root(scheduler);
    Event go(scheduler);
    for (int i = 0; i < 100; ++i)
      root.spawn("worker", [&, i] {
        EXPECT_TRUE(go.wait(Deadline::never()));
        for (int n = 1; n < 20; ++n) {
          EXPECT_TRUE(scheduler.sleep_until({n * 100 + i}));
          scheduler.yield();
        }
        ++ended;
      });
    const Exhausted exhausted;
    EXPECT_EQ(scheduler.run(), Scheduler::Outcome::stuck);
    go.set();
    EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  }
  EXPECT_EQ(ended, 100);
}

TEST_P(MemoryTest, spawning_without_memory_says_no_resources) {
  Scope root(scheduler);
  root.spawn("main", [&] {
    run_scope(scheduler, [&](Scope& scope) {
      Errc error{};
      std::size_t spawned = 0;
      {
        const Exhausted exhausted;
        for (;;) {
          const auto handle =
              scope.try_spawn("child", [&] { (void)scheduler.sleep_for(Duration(5)); });
          if (!handle) {
            error = handle.error().code;
            break;
          }
          ++spawned;
        }
      }
      EXPECT_EQ(error, Errc::no_resources);
      EXPECT_LT(spawned, 100u);
      EXPECT_TRUE(scope.try_spawn("child", [] {})) << "memory came back";
    });
  });
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  EXPECT_EQ(stacks.in_use(), 0u);
}

}  // namespace
}  // namespace twinwire
