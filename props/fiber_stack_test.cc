// SPDX-License-Identifier: Apache-2.0
// StackPool: the guard is there, by either method; stacks are reused; the watermark tells what was used.
#include <errno.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <vector>

#include "transport/fiber/scope.h"

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

namespace twinwire {
namespace {

class StackHost final : public Host {
 public:
  TimePoint now() noexcept override { return {}; }
  bool turn(TimePoint /*until*/, bool idle) override { return !idle; }
};

// Runs one fiber that uses at least `bytes` of its stack.
void use_stack(StackPool& stacks, std::size_t bytes) {
  StackHost host;
  Scheduler scheduler(host, stacks, {});
  Scope root(scheduler);
  root.spawn("deep", [bytes] {
    auto* memory = static_cast<volatile char*>(__builtin_alloca(bytes));
    for (std::size_t i = bytes; i > 0; --i) memory[i - 1] = 1;
  });
  ASSERT_EQ(scheduler.run(), Scheduler::Outcome::finished);
}

TEST(StackPoolTest, slots_are_aligned_apart_and_writable_from_the_guard_to_the_label) {
  StackPool stacks(32 * 1024);
  std::vector<Stack> all;
  std::set<std::byte*> bases;
  for (int i = 0; i < 40; ++i) {
    const Stack stack = stacks.allocate();
    ASSERT_NE(stack.base, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(stack.base) % stacks.slot_size(), 0u);
    EXPECT_TRUE(bases.insert(stack.base).second);
    EXPECT_EQ(stacks.label(stack)->magic, StackLabel::magic_value);
    EXPECT_EQ(stacks.label(stack)->fiber, nullptr);
    std::byte* low = stack.base + StackPool::guard_size;
    std::byte* high = stacks.top(stack);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(high) % 64, 0u);
    EXPECT_LE(high, reinterpret_cast<std::byte*>(stacks.label(stack)));
    std::memset(low, 0x5a, static_cast<std::size_t>(high - low));
    EXPECT_EQ(stacks.label(stack)->magic, StackLabel::magic_value);
    all.push_back(stack);
  }
  EXPECT_EQ(stacks.in_use(), 40u);
  for (const Stack& stack : all) stacks.release(stack);
  EXPECT_EQ(stacks.in_use(), 0u);
}

TEST(StackPoolTest, a_released_stack_is_used_again_last_first) {
  StackPool stacks;
  const Stack a = stacks.allocate();
  const Stack b = stacks.allocate();
  stacks.release(a);
  stacks.release(b);
  const Stack again = stacks.allocate();
  EXPECT_EQ(again.base, b.base);
  stacks.release(again);
  EXPECT_EQ(stacks.created(), 2u);
}

TEST(StackPoolTest, the_limit_counts_stacks_in_use) {
  StackPool stacks(16 * 1024, 2);
  const Stack a = stacks.allocate();
  const Stack b = stacks.allocate();
  EXPECT_EQ(stacks.allocate().base, nullptr);
  stacks.release(a);
  const Stack c = stacks.allocate();
  EXPECT_NE(c.base, nullptr);
  stacks.release(b);
  stacks.release(c);
}

// Fibers one after another on one stack, with callables of every size: nothing of one is left in the way of the next.
TEST(StackPoolTest, a_stack_serves_callables_of_all_sizes_in_turn) {
  StackHost host;
  StackPool stacks;
  Scheduler scheduler(host, stacks, {});
  Scope root(scheduler);
  std::size_t sum = 0;
  const auto spawn = [&]<std::size_t size>(std::integral_constant<std::size_t, size>) {
    std::array<unsigned char, size> capture;
    capture.fill(1);
    root.spawn("sized", [&sum, capture] {
      for (const unsigned char byte : capture) sum += byte;
    });
    EXPECT_EQ(scheduler.run(), Scheduler::Outcome::finished);
  };
  const auto sizes = [&]<std::size_t... n>(std::index_sequence<n...>) {
    (spawn(std::integral_constant<std::size_t, 1 + (n * 1031) % 4000>{}), ...);
  };
  sizes(std::make_index_sequence<40>{});
  std::size_t expected = 0;
  for (std::size_t n = 0; n < 40; ++n) expected += 1 + (n * 1031) % 4000;
  EXPECT_EQ(sum, expected);
  EXPECT_EQ(stacks.created(), 1u);
}

TEST(StackPoolTest, the_watermark_grows_with_what_was_used_and_never_shrinks) {
  if (RUNNING_ON_VALGRIND) GTEST_SKIP() << "the tool touches stacks by itself";
  StackPool stacks(256 * 1024);
  use_stack(stacks, 100);
  const std::size_t small = stacks.watermark_max();
  EXPECT_GE(small, StackPool::guard_size);
  EXPECT_LT(small, 100u * 1024);
  use_stack(stacks, 120 * 1024);
  const std::size_t large = stacks.watermark_max();
  EXPECT_GE(large, 120u * 1024);
  EXPECT_LE(large, 256u * 1024 - StackPool::guard_size);
  use_stack(stacks, 100);
  EXPECT_EQ(stacks.watermark_max(), large);
  EXPECT_EQ(stacks.created(), 1u);
}

TEST(StackPoolTest, the_watermark_of_a_pool_is_that_of_its_deepest_stack) {
  if (RUNNING_ON_VALGRIND) GTEST_SKIP() << "the tool touches stacks by itself";
  StackPool stacks(2 * 1024 * 1024);  // more pages than the kernel is asked about at one time
  EXPECT_EQ(stacks.watermark_max(), 0u);
  std::vector<Stack> all;
  for (int i = 0; i < 20; ++i) all.push_back(stacks.allocate());
  EXPECT_EQ(stacks.watermark(all[3]), 4096u) << "the label's page";
  all[17].base[2 * 1024 * 1024 - 700 * 1024] = std::byte{1};
  EXPECT_EQ(stacks.watermark(all[17]), 700u * 1024);
  EXPECT_EQ(stacks.watermark_max(), 700u * 1024);
  all[2].base[StackPool::guard_size] = std::byte{1};
  EXPECT_EQ(stacks.watermark_max(), 2u * 1024 * 1024 - StackPool::guard_size);
  for (const Stack& stack : all) stacks.release(stack);
}

using StackPoolDeathTest = ::testing::Test;

void write_into_guard(const Stack& stack, std::size_t offset) {
  *const_cast<volatile std::byte*>(stack.base + offset) = std::byte{1};
}

TEST(StackPoolDeathTest, every_byte_of_a_guard_is_out_of_bounds) {
  StackPool stacks(16 * 1024);
  std::vector<Stack> all;
  for (int i = 0; i < 18; ++i) all.push_back(stacks.allocate());  // more than one region
  for (const std::size_t i : {0u, 15u, 16u, 17u}) {
    EXPECT_DEATH(write_into_guard(all[i], 0), "");
    EXPECT_DEATH(write_into_guard(all[i], StackPool::guard_size - 1), "");
    write_into_guard(all[i], StackPool::guard_size);  // the first byte above it is stack
  }
  stacks.release(all.back());
  const Stack reused = stacks.allocate();
  EXPECT_DEATH(write_into_guard(reused, 0), "") << "a reused stack is guarded too";
  all.back() = reused;
  for (const Stack& stack : all) stacks.release(stack);
}

// From here on the kernel refuses a system call of this process where its argument at `index` has the given value.
bool refuse(unsigned call, unsigned index, unsigned value, unsigned error) {
  const auto argument =
      static_cast<unsigned>(offsetof(seccomp_data, args) + index * sizeof(std::uint64_t));
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{sizeof filter / sizeof filter[0], filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

[[noreturn]] void leave(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::fflush(stderr);
  std::_Exit(7);
}

constexpr unsigned guard_install = 102;  // MADV_GUARD_INSTALL

TEST(StackPoolDeathTest, where_the_kernel_knows_no_guard_advice_mprotect_stands_in) {
  if (RUNNING_ON_VALGRIND) GTEST_SKIP() << "the tool emulates no seccomp";
  EXPECT_EXIT(
      {
        if (!refuse(SYS_madvise, 2, guard_install, EINVAL)) leave("no seccomp");
        StackPool stacks(16 * 1024);
        const Stack stack = stacks.allocate();
        if (stack.base == nullptr) leave("no stack");
        write_into_guard(stack, StackPool::guard_size);
        leave("usable above the guard");
      },
      ::testing::ExitedWithCode(7), "usable above the guard");
  EXPECT_DEATH(
      {
        if (!refuse(SYS_madvise, 2, guard_install, EINVAL)) leave("no seccomp");
        StackPool stacks(16 * 1024);
        write_into_guard(stacks.allocate(), StackPool::guard_size - 1);
        leave("wrote into the guard");
      },
      "^$|Sanitizer");
}

TEST(StackPoolDeathTest, where_no_guard_can_be_had_there_is_no_stack) {
  if (RUNNING_ON_VALGRIND) GTEST_SKIP() << "the tool emulates no seccomp";
  EXPECT_EXIT(
      {
        StackHost host;
        StackPool stacks(16 * 1024);
        Scheduler scheduler(host, stacks, {});
        Scope root(scheduler);
        if (!refuse(SYS_madvise, 2, guard_install, EINVAL) ||
            !refuse(SYS_mprotect, 2, 0 /* PROT_NONE */, ENOMEM))
          leave("no seccomp");
        for (int i = 0; i < 3; ++i) {
          const auto handle = root.try_spawn("unguarded", [] {});
          if (handle) leave("a stack without a guard");
          if (handle.error() != Errc::no_resources) leave("the wrong error");
        }
        if (stacks.in_use() != 0 || stacks.created() != 0)
          leave("a stack is counted that is not there");
        leave("no resources");
      },
      ::testing::ExitedWithCode(7), "no resources");
}

TEST(StackPoolDeathTest, a_pool_must_not_be_destroyed_while_a_stack_is_out) {
  EXPECT_DEATH(
      {
        StackPool stacks;
        (void)stacks.allocate();
      },
      "while a fiber still lived on a stack");
}

TEST(StackPoolDeathTest, the_slot_size_is_a_power_of_two_of_at_least_16_KiB) {
  EXPECT_DEATH(StackPool(8 * 1024), "power of two");
  EXPECT_DEATH(StackPool(48 * 1024), "power of two");
}

}  // namespace
}  // namespace twinwire
