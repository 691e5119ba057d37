// SPDX-License-Identifier: Apache-2.0
// docs/gdb/twinwire-gdb.py, in a debugger: it finds the fibers of this very program and what they are doing. GDB is
// part of what `.ci/setup check` installs.
#include <gtest/gtest.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <regex>
#include <string>

#include "transport/fiber/scope.h"
#include "transport/fiber/wait_queue.h"

namespace twinwire {

// Where the debugger stops: extern "C" and never inlined, so that every build has it under this name.
extern "C" [[gnu::noinline, gnu::used]] void everybody_waits() { asm volatile("" ::: "memory"); }

namespace {

class StoppingHost final : public Host {
 public:
  TimePoint now() noexcept override { return {}; }
  bool turn(TimePoint /*until*/, bool idle) override {
    if (idle) everybody_waits();
    return !idle;
  }
};

[[gnu::noinline]] void waits_for_godot(Event& event) {
  (void)event.wait(Deadline::never(), "godot");
  asm volatile("" ::: "memory");  // no tail call: the frame stays
}

[[gnu::noinline]] void waits_deeper(Event& event, int depth) {
  if (depth == 0) {
    waits_for_godot(event);
  } else {
    waits_deeper(event, depth - 1);
  }
  asm volatile("" ::: "memory");
}

void run_program() {
  StoppingHost host;
  StackPool stacks;
  Scheduler scheduler(host, stacks, {});
  Event event(scheduler);
  Scope root(scheduler);
  root.spawn("gone", [] {});
  root.spawn("vladimir", [&] { waits_for_godot(event); });
  root.spawn("estragon", [&] { waits_deeper(event, 3); });
  root.spawn("boy", [&] {
    scheduler.yield();
    everybody_waits();
  });
  while (scheduler.run() != Scheduler::Outcome::finished) {
    if (std::getenv("TWINWIRE_TEST_ABORT") != nullptr) std::abort();
    event.set();
  }
}

// The program under the debugger; disabled, so that nobody runs it as a test.
TEST(GdbProgram, DISABLED_waits) { run_program(); }

std::string output_of(const std::string& command) {
  std::string output;
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return "no pipe";
  char buffer[4096];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, n);
  ::pclose(pipe);
  return output;
}

struct GdbTest : ::testing::Test {
  std::string self;
  void SetUp() override {
    char path[PATH_MAX] = {};
    ASSERT_GT(::readlink("/proc/self/exe", path, sizeof path - 1), 0);
    self = path;
    // A leak checker cannot run in a process that is being traced.
    ::setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
    ::unsetenv("GTEST_FILTER");
  }
  const std::string program =
      "--gtest_also_run_disabled_tests --gtest_filter=GdbProgram.DISABLED_waits";
  std::string gdb(const std::string& commands) const {
    return output_of(
        "gdb -nx -batch -ex 'set debuginfod enabled off' -ex 'set pagination off'"
        " -ex 'source docs/gdb/twinwire-gdb.py' " +
        commands + " --args '" + self + "' " + program + " 2>&1");
  }
};

#define EXPECT_HAS(text, part) \
  EXPECT_NE((text).find(part), std::string::npos) << "no \"" << (part) << "\" in\n" << (text)
#define EXPECT_HAS_NOT(text, part) EXPECT_EQ((text).find(part), std::string::npos) << (text)

TEST_F(GdbTest, lists_live_fibers_and_the_backtraces_of_those_that_are_parked) {
  const std::string text =
      gdb("-ex 'break everybody_waits' -ex run -ex continue -ex 'twinwire fibers' -ex 'twinwire bt'"
          " -ex 'bt 3' -ex 'delete' -ex continue");
  EXPECT_HAS(text, "'vladimir' parked, waiting for godot");
  EXPECT_HAS(text, "'estragon' parked, waiting for godot");
  EXPECT_HAS(text, "\n2 fibers\n");
  EXPECT_HAS_NOT(text, "'gone'");
  EXPECT_HAS(text, "waits_for_godot");
  EXPECT_HAS(text, "waits_deeper");
  EXPECT_HAS(text, "park at ");
  EXPECT_HAS(text, "enter");
  EXPECT_HAS_NOT(text, "Python Exception");
  EXPECT_HAS_NOT(text, "corrupt");
  // The debugger's own backtrace, afterwards, is the thread's again.
  EXPECT_TRUE(std::regex_search(text, std::regex("[ :]turn ?\\(.*\\) at "))) << text;
  EXPECT_HAS(text, "1 test from 1 test suite ran");  // and the program goes on unharmed
  EXPECT_HAS(text, "exited normally");
}

TEST_F(GdbTest, chooses_by_name_and_number_and_says_which_fiber_runs) {
  const std::string text =
      gdb("-ex 'break everybody_waits' -ex run -ex 'twinwire fibers' -ex 'twinwire bt boy' -ex "
          "'twinwire bt estr'"
          " -ex 'twinwire bt nobody'");
  EXPECT_HAS(text, "'boy' running");
  EXPECT_HAS(text, "\n3 fibers\n");
  EXPECT_HAS(text, "it has the thread");
  const auto estragon = text.find("'estragon'", text.find("it has the thread"));
  ASSERT_NE(estragon, std::string::npos) << text;
  EXPECT_NE(text.find("waits_deeper", estragon), std::string::npos) << text;
  EXPECT_EQ(text.find("'vladimir'", estragon), std::string::npos) << text;
  EXPECT_HAS(text, "No fiber is called like 'nobody'");
}

// A function, so that no compiler calls what follows a skip unreachable.
bool sanitized() {
#if defined(TWINWIRE_ASAN) || defined(TWINWIRE_TSAN)
  return true;
#else
  return false;
#endif
}

TEST_F(GdbTest, reads_a_core_file_as_well) {
  if (sanitized())
    GTEST_SKIP()
        << "a sanitizer's shadow memory makes core files of terabytes, so it switches them off";
  std::string folder = ::testing::TempDir() + "twinwire-gdb-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string text = output_of(
      "here=$PWD; cd '" + folder + "' && ulimit -c unlimited && { TWINWIRE_TEST_ABORT=1 '" + self +
      "' " + program +
      " >log 2>&1; for core in core*; do [ -f \"$core\" ] && gdb -nx -batch -ex 'set debuginfod "
      "enabled off'"
      " -ex \"source $here/docs/gdb/twinwire-gdb.py\" -ex 'twinwire fibers' -ex 'twinwire bt' '" +
      self + "' \"$core\" 2>&1; done; }; rm -rf '" + folder + "'");
  if (text.empty())
    GTEST_SKIP() << "this system keeps its core files elsewhere (kernel.core_pattern)";
  EXPECT_HAS(text, "'vladimir' parked, waiting for godot");
  EXPECT_HAS(text, "\n2 fibers\n");
  EXPECT_HAS(text, "waits_for_godot");
  EXPECT_HAS(text, "waits_deeper");
  EXPECT_HAS(text, "enter");
}

TEST_F(GdbTest, says_so_where_there_is_no_process) {
  EXPECT_HAS(gdb("-ex 'twinwire fibers'"), "There is no process and no core file");
}

}  // namespace
}  // namespace twinwire
