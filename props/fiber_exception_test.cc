// SPDX-License-Identifier: Apache-2.0
// Exceptions in flight on two fibers at once. The house rule forbids to suspend inside a catch block or a destructor;
// the switch must keep the two apart all the same, since a callback or another's code may do it. Each of these tests
// fails where the switch does not save and restore __cxa_eh_globals.
#include <gtest/gtest.h>

#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "transport/fiber/scope.h"

namespace twinwire {
namespace {

class ExceptionHost final : public Host {
 public:
  TimePoint now() noexcept override { return {}; }
  bool turn(TimePoint /*until*/, bool idle) override { return !idle; }
};

struct ExceptionTest : ::testing::Test {
  ExceptionHost host;
  StackPool stacks;
  Scheduler scheduler{host, stacks, {}};
  std::vector<std::string> log;
};

std::string current_text() {
  const std::exception_ptr current = std::current_exception();
  if (!current) return "none";
  try {
    std::rethrow_exception(current);
  } catch (const std::exception& e) {
    return e.what();
  }
}

TEST_F(ExceptionTest, two_fibers_suspended_in_catch_blocks_rethrow_their_own) {
  Scope root(scheduler);
  const auto body = [&](const std::string& mine) {
    try {
      try {
        throw std::runtime_error(mine);
      } catch (...) {
        scheduler.yield();
        throw;  // what the other fiber threw, where the globals are mixed up
      }
    } catch (const std::runtime_error& e) {
      log.push_back(mine + " caught " + e.what());
    }
  };
  root.spawn("a", [&] { body("a"); });
  root.spawn("b", [&] { body("b"); });
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  EXPECT_EQ(log, (std::vector<std::string>{"a caught a", "b caught b"}));
}

TEST_F(ExceptionTest, catch_blocks_left_in_another_order_than_they_were_entered) {
  Scope root(scheduler);
  for (int i = 0; i < 5; ++i)
    root.spawn(std::to_string(i), [&, i] {
      for (int round = 0; round < 20; ++round) {
        const std::string mine = std::to_string(i) + "/" + std::to_string(round);
        try {
          throw std::runtime_error(mine);
        } catch (const std::runtime_error& outer) {
          for (int n = 0; n <= (i * 7 + round) % 5; ++n) scheduler.yield();
          EXPECT_EQ(current_text(), mine);
          try {
            throw std::logic_error(mine + " nested");
          } catch (const std::logic_error&) {
            for (int n = 0; n <= (i * 3 + round) % 4; ++n) scheduler.yield();
            EXPECT_EQ(current_text(), mine + " nested");
          }
          scheduler.yield();
          EXPECT_EQ(current_text(), mine);
          EXPECT_EQ(outer.what(), mine);
        }
        EXPECT_EQ(current_text(), "none");
      }
    });
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
}

TEST_F(ExceptionTest, a_fiber_sees_nothing_of_an_exception_that_another_handles) {
  Scope root(scheduler);
  root.spawn("handler", [&] {
    try {
      throw std::runtime_error("handled");
    } catch (...) {
      scheduler.yield();
      EXPECT_EQ(current_text(), "handled");
    }
  });
  root.spawn("bystander", [&] { log.push_back(current_text()); });
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  EXPECT_EQ(log, (std::vector<std::string>{"none"}));
}

TEST_F(ExceptionTest, a_run_inside_a_catch_block_keeps_its_exception_from_the_fibers_and_back) {
  Scope root(scheduler);
  root.spawn("fiber", [&] {
    log.push_back(current_text());
    try {
      throw std::runtime_error("of the fiber");
    } catch (...) {
      scheduler.stop();
      scheduler.yield();
      log.push_back(current_text());
    }
  });
  try {
    throw std::runtime_error("of the loop");
  } catch (...) {
    EXPECT_EQ(scheduler.run(), Scheduler::Outcome::stopped);
    log.push_back(current_text());
  }
  log.push_back(current_text());
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  EXPECT_EQ(log, (std::vector<std::string>{"none", "of the loop", "none", "of the fiber"}));
}

// std::uncaught_exceptions() counts in the same globals: scope guards decide by it.
TEST_F(ExceptionTest, a_switch_while_the_stack_unwinds_leaves_the_others_count_at_zero) {
  Scope root(scheduler);
  struct YieldsWhenDestroyed {
    Scheduler& scheduler;
    ~YieldsWhenDestroyed() {
      EXPECT_EQ(std::uncaught_exceptions(), 1);
      scheduler.yield();
      EXPECT_EQ(std::uncaught_exceptions(), 1);
    }
  };
  root.spawn("unwinding", [&] {
    try {
      const YieldsWhenDestroyed guard{scheduler};
      throw std::runtime_error("unwinding");
    } catch (const std::runtime_error&) {
      log.push_back("caught");
    }
    EXPECT_EQ(std::uncaught_exceptions(), 0);
  });
  root.spawn("bystander", [&] {
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    try {
      throw std::logic_error("meanwhile");
    } catch (const std::logic_error&) {
      log.push_back("meanwhile");
    }
  });
  EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  EXPECT_EQ(log, (std::vector<std::string>{"meanwhile", "caught"}));
}

}  // namespace
}  // namespace twinwire
