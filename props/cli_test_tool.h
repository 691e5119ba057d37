// SPDX-License-Identifier: Apache-2.0
// A tool of the test's own, with scenarios that misbehave on purpose. It is the test's executable itself: started with
// as_misbehaving_tool in its environment it is the tool, otherwise it runs its tests.
#pragma once

#include <string>
#include <utility>

#include "cli/tool.h"
#include "props/cli_process.h"
#include "props/test_main.h"
#include "transport/base/check.h"
#include "transport/fiber/wait_queue.h"

namespace twinwire::props {

inline const std::pair<std::string, std::string> as_misbehaving_tool{test_tool_variable,
                                                                     "misbehaving"};

// Each goes wrong for every seed that ends in 7, after a few steps.
template <class Self>
struct Misbehaving {
  template <Transport T>
  static void run(laws::Env& env) {
    Scheduler& scheduler = env.node("somewhere").scheduler();
    const std::uint64_t naps = 1 + env.draw(5);
    for (std::uint64_t i = 0; i < naps; ++i)
      (void)scheduler.sleep_for(std::chrono::milliseconds(1));
    if (env.seed() % 10 == 7) Self::misbehave(env, scheduler);
  }
};

struct Calm : Misbehaving<Calm> {
  static constexpr std::string_view name = "calm";
  static constexpr std::string_view summary = "nothing goes wrong";
  static void misbehave(laws::Env& env, Scheduler&) { (void)env.knob("depth", 3); }
};

struct Lawless : Misbehaving<Lawless> {
  static constexpr std::string_view name = "lawless";
  static constexpr std::string_view summary = "breaks a law";
  static void misbehave(laws::Env& env, Scheduler&) {
    env.judge().violate(env.seed() % 20 == 7 ? "even_sevens" : "odd_sevens",
                        "seed " + std::to_string(env.seed()));
  }
};

struct Crashing : Misbehaving<Crashing> {
  static constexpr std::string_view name = "crashing";
  static constexpr std::string_view summary = "aborts";
  static void misbehave(laws::Env& env, Scheduler&) {
    TWINWIRE_CHECK(!env.simulated(), "a precondition is broken on purpose");
  }
};

struct Hanging : Misbehaving<Hanging> {
  static constexpr std::string_view name = "hanging";
  static constexpr std::string_view summary = "spins without a step";
  static void misbehave(laws::Env&, Scheduler&) {
    const volatile bool forever = true;
    while (forever) {}
  }
};

struct Deadlocked : Misbehaving<Deadlocked> {
  static constexpr std::string_view name = "deadlocked";
  static constexpr std::string_view summary = "waits for what never happens";
  static void misbehave(laws::Env&, Scheduler& scheduler) {
    Event never(scheduler);
    (void)never.wait(Deadline::never(), "an event that nobody sets");
  }
};

// What it does depends on how many runs this process has seen: the seed does not decide it.
struct Unsteady : Misbehaving<Unsteady> {
  static constexpr std::string_view name = "unsteady";
  static constexpr std::string_view summary = "carries state from run to run";
  static void misbehave(laws::Env& env, Scheduler& scheduler) {
    static int runs = 0;
    env.note("unsteady", "run number " + std::to_string(++runs));
    for (int i = 0; i < runs; ++i) (void)scheduler.sleep_for(std::chrono::milliseconds(3));
  }
};

// Breaks a law unless memory runs out: what it shows only a run without that fault can show.
struct Needy {
  static constexpr std::string_view name = "needy";
  static constexpr std::string_view summary = "breaks a law where memory does not run out";
  template <Transport T>
  static void run(laws::Env& env) {
    Block* block = env.node("somewhere").buffers().allocate(100);
    if (block == nullptr) return;
    Slice(block, block->data, 0).release();
    env.judge().violate("memory", "there was memory");
  }
};

inline const bool misbehaving_tool_is_there =
    test_tools()
        .emplace("misbehaving",
                 [](int argc, char** argv) {
                   laws::Registry registry;
                   registry.add<Calm>();
                   registry.add<Lawless>();
                   registry.add<Crashing>();
                   registry.add<Hanging>();
                   registry.add<Deadlocked>();
                   registry.add<Unsteady>();
                   registry.add<Needy>();
                   return cli::tool_main(argc, argv, registry);
                 })
        .second;

inline std::string test_tool_path() {
  return std::filesystem::read_symlink("/proc/self/exe").string();
}

inline Ended run_test_tool(const std::filesystem::path& folder, const std::string& arguments) {
  return run_tool_in(folder, test_tool_path(), arguments, {as_misbehaving_tool});
}

}  // namespace twinwire::props
