// SPDX-License-Identifier: Apache-2.0
// What a machine lacks for production, what that costs, and the remedy: of machines that are made up, and of this one.
// ctest: no_tsan
#include "real/machine.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "real/probe.h"

namespace twinwire::real {
namespace {

using State = Finding::State;

// One that lacks nothing.
Machine complete() {
  Machine machine;
  machine.ring = RingMode::deferred;
  machine.features = {true, true, true, true, true};
  machine.udp_segments = machine.udp_coalesces = machine.cheap_guards = true;
  machine.descriptors = machine.descriptors_max = 1'048'576;
  machine.locked_bytes = UINT64_MAX;
  machine.somaxconn = 4096;
  machine.rmem_max = 8 << 20;
  machine.max_map_count = 65'530;
  return machine;
}

// Its findings that are not `there`.
std::vector<Finding> lacking(const Machine& machine) {
  std::vector<Finding> findings = judge(machine);
  std::erase_if(findings, [](const Finding& finding) { return finding.state == State::there; });
  return findings;
}

TEST(Machine, one_that_lacks_nothing_can_run) {
  EXPECT_TRUE(lacking(complete()).empty());
  EXPECT_TRUE(can_run(judge(complete())));
}

TEST(Machine, each_thing_that_is_lacking_is_named_alone_with_its_cost_and_its_remedy) {
  struct Case {
    const char* name;
    State state;
    const char* remedy;
    void (*take)(Machine&);
  };
  const Case cases[] = {
      {"deferred completions", State::missing, "Linux 6.1",
       [](Machine& m) { m.ring = RingMode::cooperative; }},
      {"deferred completions", State::missing, "Linux 6.1",
       [](Machine& m) { m.ring = RingMode::plain; }},
      {"provided buffer rings", State::missing, "Linux 5.19",
       [](Machine& m) { m.features.buffer_rings = false; }},
      {"multishot receive", State::missing, "Linux 6.0",
       [](Machine& m) { m.features.multishot_receive = false; }},
      {"multishot accept", State::missing, "Linux 5.19",
       [](Machine& m) { m.features.multishot_accept = false; }},
      {"zero-copy send (SEND_ZC)", State::missing, "Linux 6.1",
       [](Machine& m) { m.features.send_zero_copy = false; }},
      {"messages between rings (MSG_RING)", State::missing, "Linux 5.18",
       [](Machine& m) { m.features.ring_messages = false; }},
      {"UDP segmentation (GSO)", State::missing, "Linux 4.18",
       [](Machine& m) { m.udp_segments = false; }},
      {"UDP coalescing (GRO)", State::missing, "Linux 5.0",
       [](Machine& m) { m.udp_coalesces = false; }},
      {"RLIMIT_NOFILE", State::low, "ulimit -n 1048576", [](Machine& m) { m.descriptors = 1024; }},
      {"RLIMIT_NOFILE", State::low, "LimitNOFILE",
       [](Machine& m) { m.descriptors = m.descriptors_max = 1024; }},
      {"RLIMIT_MEMLOCK", State::low, "ulimit -l", [](Machine& m) { m.locked_bytes = 65'536; }},
      {"net.core.somaxconn", State::low, "sysctl -w net.core.somaxconn",
       [](Machine& m) { m.somaxconn = 128; }},
      {"net.core.rmem_max", State::low, "sysctl -w net.core.rmem_max",
       [](Machine& m) { m.rmem_max = 212'992; }},
      {"vm.max_map_count", State::low, "sysctl -w vm.max_map_count",
       [](Machine& m) { m.cheap_guards = false; }},
      {"net.core.somaxconn", State::unknown, "", [](Machine& m) { m.somaxconn.reset(); }},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    Machine machine = complete();
    one.take(machine);
    const auto found = lacking(machine);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].name, one.name);
    EXPECT_EQ(found[0].state, one.state);
    if (one.state == State::unknown) continue;
    EXPECT_FALSE(found[0].cost.empty());
    EXPECT_NE(found[0].remedy.find(one.remedy), std::string::npos) << found[0].remedy;
    EXPECT_TRUE(can_run(judge(machine)));
  }
}

TEST(Machine, without_a_ring_it_cannot_run_and_says_whose_fault_it_is) {
  struct Case {
    int error;
    const char* words;
  };
  for (const Case& one : {Case{ENOSYS, "no io_uring"}, Case{EPERM, "seccomp"},
                          Case{ENOMEM, "RLIMIT_MEMLOCK"}, Case{EMFILE, "RLIMIT_NOFILE"}}) {
    RingOptions options;
    options.force_probe_failure = one.error;
    const Machine machine = look_at_machine(options);
    const auto findings = judge(machine);
    EXPECT_FALSE(can_run(findings));
    EXPECT_EQ(findings[0].state, State::missing);
    EXPECT_NE(findings[0].remedy.find(one.words), std::string::npos) << findings[0].remedy;
    // What depends on it was not looked at, and is not called missing.
    const auto unknown = std::count_if(findings.begin(), findings.end(),
                                       [](const Finding& f) { return f.state == State::unknown; });
    EXPECT_GE(unknown, 6);
  }
}

TEST(Machine, where_descriptors_ran_out_nothing_is_called_missing_that_was_not_looked_at) {
  Machine machine = complete();
  machine.features = {};
  machine.descriptors_ran_out = true;
  const auto found = lacking(machine);
  for (const Finding& finding : found)
    EXPECT_EQ(finding.state, finding.name == "RLIMIT_NOFILE" ? State::missing : State::unknown)
        << finding.name;
  EXPECT_EQ(found.size(), 8u);
  EXPECT_FALSE(can_run(judge(machine)));
}

TEST(Machine, of_this_one_the_limits_are_those_that_it_has) {
  const Machine machine = look_at_machine({});
  if (!machine.ring) GTEST_SKIP() << explain_no_ring(machine.ring.error());
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(machine.descriptors, limit.rlim_cur);
  EXPECT_TRUE(can_run(judge(machine)));
  // Each later feature came with a later kernel.
  if (machine.features.multishot_receive) {
    EXPECT_TRUE(machine.features.buffer_rings);
    EXPECT_TRUE(machine.features.multishot_accept);
    EXPECT_TRUE(machine.features.ring_messages);
  }
}

TEST(Machine, looking_leaves_no_descriptor_behind) {
  (void)look_at_machine({});
  const int before = ::dup(0);
  for (int i = 0; i < 3; ++i) (void)look_at_machine({});
  const int after = ::dup(0);
  EXPECT_EQ(after, before + 1);
  ::close(before);
  ::close(after);
}

}  // namespace
}  // namespace twinwire::real
