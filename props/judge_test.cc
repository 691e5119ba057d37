// SPDX-License-Identifier: Apache-2.0
// What a run is told to have died of: the first law that it broke while it ran; where it came to no end, that, and not
// what its fibers did when they were told to stop.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <stdexcept>

#include "props/laws/run_in_world.h"
#include "transport/fiber/wait_queue.h"

namespace twinwire::laws {
namespace {

Verdict run(ScenarioBody body, std::uint64_t steps_max = 1000) {
  ScenarioEntry entry{"judged", "", {}, nullptr};
  entry.bodies[0] = body;
  StackPool stacks;
  WorldRun run;
  run.scenario = &entry;
  run.options.steps_max = steps_max;
  return run_in_world(run, stacks);
}

void sleep_until_told_to_stop(Env& env) {
  Network& network = env.node("server");
  while (network.scheduler().sleep_for(std::chrono::milliseconds(1))) continue;
}

TEST(Judge, a_run_past_its_steps_breaks_no_law_by_being_stopped) {
  const Verdict verdict = run([](Env& env) {
    sleep_until_told_to_stop(env);
    env.judge().violate("delivered", "a message is missing");
  });
  EXPECT_EQ(verdict.failure_key(), "no_progress:out of steps");
}

TEST(Judge, a_deadlock_breaks_no_law_by_being_stopped) {
  const Verdict verdict = run([](Env& env) {
    (void)Event(env.node("server").scheduler()).wait(Deadline::never());
    env.judge().violate("delivered", "a message is missing");
  });
  EXPECT_EQ(verdict.failure_key(), "no_progress:stuck");
}

TEST(Judge, an_exception_of_who_was_told_to_stop_is_not_what_it_died_of) {
  const Verdict stopped = run([](Env& env) {
    (void)Event(env.node("server").scheduler()).wait(Deadline::never());
    throw std::runtime_error("the answer is missing");
  });
  EXPECT_EQ(stopped.failure_key(), "no_progress:stuck");
  const Verdict thrown = run([](Env& env) {
    env.scope().spawn("thrower", [] { throw std::runtime_error("on its own"); });
    (void)Event(env.node("server").scheduler()).wait(Deadline::never());
  });
  EXPECT_EQ(thrown.failure_key(), "law_broken:exception");
}

TEST(Judge, a_law_that_was_broken_before_is_what_it_died_of) {
  const Verdict verdict = run([](Env& env) {
    env.judge().violate("order", "2 before 1");
    sleep_until_told_to_stop(env);
    env.judge().violate("delivered", "a message is missing");
  });
  EXPECT_EQ(verdict.failure_key(), "law_broken:order");
}

}  // namespace
}  // namespace twinwire::laws
