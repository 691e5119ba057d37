// SPDX-License-Identifier: Apache-2.0
// The report of a stack overflow: names the fiber, dies by the signal, and leaves every other fault to whoever had it
// before.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "transport/fiber/overflow.h"
#include "transport/fiber/scope.h"

#if defined(TWINWIRE_ASAN) || defined(TWINWIRE_TSAN)
constexpr bool under_sanitizer = true;
#else
constexpr bool under_sanitizer = false;
#endif

namespace twinwire {
namespace {

class OverflowHost final : public Host {
 public:
  TimePoint now() noexcept override { return {}; }
  bool turn(TimePoint /*until*/, bool idle) override { return !idle; }
};

// Without end, and not a tail call. Frames stay smaller than the guard.
[[gnu::noinline]] int recurse(int depth, const volatile char* above) {
  volatile char frame[512];
  frame[0] = above != nullptr ? above[0] : char{1};
  frame[511] = static_cast<char>(depth);
  return depth < 0 ? 0 : recurse(depth + 1, frame) + frame[0] + frame[511];
}

struct Setting {
  std::size_t slot_size;
  std::size_t installed_size;
};

[[noreturn]] void overflow(Setting setting, const std::string& name) {
  if (!install_stack_overflow_report(setting.installed_size)) std::abort();
  OverflowHost host;
  StackPool stacks(setting.slot_size);
  Scheduler scheduler(host, stacks, {});
  Scope root(scheduler);
  for (int i = 0; i < 20; ++i) root.spawn("bystander", [&] { scheduler.yield(); });
  root.spawn(name, [] { std::exit(recurse(0, nullptr)); });
  root.spawn("bystander", [] {});
  scheduler.run();
  std::exit(0);
}

constexpr std::size_t slot = StackPool::default_slot_size;

TEST(OverflowDeathTest, the_report_names_the_fiber_and_the_process_dies_by_the_signal) {
  const std::string expected = "^twinwire: stack overflow in fiber 'the greedy one' \\(slot of " +
                               std::to_string(slot / 1024) + " KiB\\)\n$";
  EXPECT_EXIT(overflow({slot, slot}, "the greedy one"), ::testing::KilledBySignal(SIGSEGV),
              expected);
}

TEST(OverflowDeathTest, any_slot_size_will_do_and_a_second_installation_changes_it) {
  EXPECT_EXIT(
      {
        if (!install_stack_overflow_report(16 * 1024)) std::abort();
        overflow({1024 * 1024, 1024 * 1024}, "roomy");
      },
      ::testing::KilledBySignal(SIGSEGV), "in fiber 'roomy' \\(slot of 1024 KiB\\)");
}

TEST(OverflowDeathTest, a_name_of_full_length_is_whole) {
  const std::string name(39, 'x');
  EXPECT_EXIT(overflow({slot, slot}, name), ::testing::KilledBySignal(SIGSEGV), "'" + name + "'");
}

TEST(OverflowDeathTest, an_overflow_on_another_thread_is_reported_where_it_was_installed_there) {
  EXPECT_EXIT(
      {
        std::thread([] { overflow({slot, slot}, "elsewhere"); }).join();
        std::exit(0);
      },
      ::testing::KilledBySignal(SIGSEGV), "in fiber 'elsewhere'");
}

void fault() {
  *static_cast<volatile int*>(
      ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) = 1;
}

// What looks like a guard by its address and has no label at the end of the slot; or no readable memory at all.
TEST(OverflowDeathTest, a_fault_elsewhere_is_not_reported_and_dies_as_it_would_have) {
  if (under_sanitizer) GTEST_SKIP() << "the handler before is the sanitizer's";
  const auto dies = ::testing::KilledBySignal(SIGSEGV);
  EXPECT_EXIT(
      {
        if (!install_stack_overflow_report()) std::abort();
        fault();
      },
      dies, "^$");
  EXPECT_EXIT(
      {
        if (!install_stack_overflow_report(16 * 1024)) std::abort();
        *reinterpret_cast<volatile int*>(16 * 1024 + 8) = 1;
      },
      dies, "^$");
  EXPECT_EXIT(
      {
        if (!install_stack_overflow_report()) std::abort();
        ::kill(::getpid(), SIGSEGV);
        ::pause();
      },
      dies, "^$");
}

TEST(OverflowDeathTest, the_guard_of_a_stack_that_no_fiber_is_on_is_not_reported) {
  if (under_sanitizer) GTEST_SKIP() << "the handler before is the sanitizer's";
  EXPECT_EXIT(
      {
        if (!install_stack_overflow_report()) std::abort();
        StackPool stacks;
        *const_cast<volatile std::byte*>(stacks.allocate().base) = std::byte{1};
      },
      ::testing::KilledBySignal(SIGSEGV), "^$");
}

void leave_with_9(int /*signal*/) { ::_exit(9); }
void leave_with_10(int signal, siginfo_t* info, void* /*context*/) {
  ::_exit(signal == SIGSEGV && info->si_addr != nullptr ? 10 : 11);
}

TEST(OverflowDeathTest, the_handler_that_was_there_before_gets_every_other_fault) {
  EXPECT_EXIT(
      {
        std::signal(SIGSEGV, &leave_with_9);
        if (!install_stack_overflow_report() || !install_stack_overflow_report()) std::abort();
        fault();
      },
      ::testing::ExitedWithCode(9), "^$");
  EXPECT_EXIT(
      {
        struct sigaction action{};
        action.sa_sigaction = &leave_with_10;
        action.sa_flags = SA_SIGINFO;
        ::sigaction(SIGSEGV, &action, nullptr);
        if (!install_stack_overflow_report()) std::abort();
        fault();
      },
      ::testing::ExitedWithCode(10), "^$");
  EXPECT_EXIT(
      {
        std::signal(SIGSEGV, &leave_with_9);
        overflow({slot, slot}, "ours");
      },
      ::testing::KilledBySignal(SIGSEGV), "in fiber 'ours'");
}

TEST(OverflowDeathTest, a_bus_error_goes_to_its_own_handler) {
  EXPECT_EXIT(
      {
        std::signal(SIGBUS, &leave_with_9);
        if (!install_stack_overflow_report()) std::abort();
        std::raise(SIGBUS);
      },
      ::testing::ExitedWithCode(9), "^$");
}

TEST(OverflowDeathTest, an_ignored_signal_that_somebody_sent_stays_ignored) {
  EXPECT_EXIT(
      {
        std::signal(SIGSEGV, SIG_IGN);
        if (!install_stack_overflow_report()) std::abort();
        ::kill(::getpid(), SIGSEGV);
        ::_exit(12);
      },
      ::testing::ExitedWithCode(12), "^$");
}

TEST(OverflowDeathTest, the_slot_size_is_checked) {
  EXPECT_DEATH((void)install_stack_overflow_report(100'000), "power of two");
}

}  // namespace
}  // namespace twinwire
