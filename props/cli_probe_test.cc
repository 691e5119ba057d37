// SPDX-License-Identifier: Apache-2.0
// twinwire probe, and what a start says where io_uring is forbidden: by a seccomp filter, as container runtimes do it.
// ctest: no_tsan
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cstddef>
#include <thread>

#include "props/cli_process.h"

namespace twinwire::props {
namespace {

// From now on io_uring_setup(2) fails with `error` in this thread, and in what it starts.
bool forbid_io_uring(int error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{4, program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

class CliProbe : public ::testing::Test {
 protected:
  // In a thread of its own, so that the filter goes with it.
  Ended tool_without_io_uring(const std::string& arguments, int error) {
    Ended ended;
    bool forbidden = false;
    std::thread([&] {
      forbidden = forbid_io_uring(error);
      if (forbidden) ended = run_tool_in(folder_.path(), tool_path(), arguments);
    }).join();
    if (!forbidden) skip_ = true;
    return ended;
  }
  Ended tool(const std::string& arguments) {
    return run_tool_in(folder_.path(), tool_path(), arguments);
  }

  TemporaryFolder folder_;
  bool skip_ = false;
};

TEST_F(CliProbe, every_feature_has_a_line_and_what_is_lacking_its_cost_and_its_remedy) {
  const Ended ended = tool("probe");
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  for (const char* name : {"io_uring", "deferred completions", "provided buffer rings",
                           "multishot receive", "multishot accept", "SEND_ZC", "MSG_RING",
                           "UDP segmentation", "UDP coalescing", "RLIMIT_NOFILE", "RLIMIT_MEMLOCK",
                           "net.core.somaxconn", "net.core.rmem_max", "vm.max_map_count"})
    EXPECT_NE(ended.out.find(name), std::string::npos) << name << "\n" << ended.out;
  std::size_t lacking = 0;
  for (const std::string& line : lines_with(ended.out, ""))
    lacking += line.starts_with("low ") || line.starts_with("missing ") ? 1 : 0;
  EXPECT_EQ(lines_with(ended.out, "         costs   ").size(), lacking) << ended.out;
  EXPECT_EQ(lines_with(ended.out, "         remedy  ").size(), lacking) << ended.out;
  EXPECT_NE(ended.out.find("production can run here"), std::string::npos) << ended.out;
}

TEST_F(CliProbe, a_limit_that_is_low_is_named_with_its_number) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few{200, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const Ended ended = tool("probe");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(ended.exit_code, 0) << ended.out;
  const auto lines = lines_with(ended.out, "RLIMIT_NOFILE");
  ASSERT_FALSE(lines.empty());
  EXPECT_TRUE(lines[0].starts_with("low ")) << lines[0];
  EXPECT_TRUE(lines[0].ends_with(" 200")) << lines[0];
  EXPECT_NE(ended.out.find("fewer than 200 connections"), std::string::npos) << ended.out;
}

TEST_F(CliProbe, where_a_filter_forbids_io_uring_probe_names_it_and_fails) {
  const Ended ended = tool_without_io_uring("probe", EPERM);
  if (skip_) GTEST_SKIP() << "no seccomp here";
  EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
  EXPECT_TRUE(ended.out.starts_with("missing  io_uring")) << ended.out;
  EXPECT_NE(ended.out.find("EPERM"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("production cannot run here"), std::string::npos) << ended.out;
  // The rest is there to be read all the same.
  EXPECT_NE(ended.out.find("RLIMIT_NOFILE"), std::string::npos) << ended.out;
  EXPECT_NE(ended.out.find("unknown  multishot receive"), std::string::npos) << ended.out;
}

TEST_F(CliProbe, where_a_filter_forbids_io_uring_a_start_is_one_sentence) {
  for (const char* verb : {"serve --listen 127.0.0.1:0", "load"}) {
    SCOPED_TRACE(verb);
    const Ended ended = tool_without_io_uring(verb, ENOSYS);
    if (skip_) GTEST_SKIP() << "no seccomp here";
    expect_one_sentence(ended, 6, "ENOSYS): this kernel has no io_uring, or a container hides it");
  }
}

TEST_F(CliProbe, without_io_uring_by_decree_it_fails_too) {
  const Ended ended =
      run_tool_in(folder_.path(), tool_path(), "probe", {{"TWINWIRE_FORCE_NO_IOURING", "1"}});
  EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("no io_uring"), std::string::npos) << ended.out;
}

}  // namespace
}  // namespace twinwire::props
