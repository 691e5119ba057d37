// SPDX-License-Identifier: Apache-2.0
// twinwire probe, and what a start says where io_uring is forbidden: by a seccomp filter, as container runtimes do it.
// ctest: no_tsan
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <sched.h>

#include <cerrno>
#include <cstddef>
#include <functional>
#include <span>
#include <thread>
#include <utility>

#include "props/cli_process.h"

namespace twinwire::props {
namespace {

constexpr unsigned fails_with(int error) {
  return SECCOMP_RET_ERRNO | static_cast<unsigned>(error);
}

// From now on in this thread, and in what it starts.
bool install(std::span<sock_filter> program) {
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// That system call fails with `error`.
bool forbid(unsigned call, int error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, fails_with(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  return install(program);
}

// No process gets a second thread, as if RLIMIT_NPROC were reached. (clone3's flags cannot be seen by a filter: without
// it the C library uses clone.)
bool forbid_threads() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 2),
      BPF_STMT(BPF_RET | BPF_K, fails_with(EAGAIN)),
      BPF_STMT(BPF_RET | BPF_K, fails_with(ENOSYS)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  return install(program);
}

class CliProbe : public ::testing::Test {
 protected:
  Ended tool_without_io_uring(const std::string& arguments, int error) {
    return tool_after([&] { return forbid(SYS_io_uring_setup, error); }, arguments);
  }
  // In a thread of its own, so that the filter goes with it.
  Ended tool_after(const std::function<bool()>& forbids, const std::string& arguments) {
    Ended ended;
    bool forbidden = false;
    std::thread([&] {
      forbidden = forbids();
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

// The ring is made, and what comes next is denied: an old kernel has nothing to do with it.
TEST_F(CliProbe, the_call_that_a_filter_denies_is_named) {
  const std::pair<unsigned, const char*> calls[] = {{SYS_io_uring_register, "io_uring_register"},
                                                    {SYS_io_uring_enter, "io_uring_enter"}};
  for (const auto& [call, name] : calls)
    for (const char* verb : {"serve --listen 127.0.0.1:0", "serve --shards 2", "probe"}) {
      SCOPED_TRACE(std::string(name) + ", " + verb);
      const Ended ended = tool_after([&] { return forbid(call, EPERM); }, verb);
      if (skip_) GTEST_SKIP() << "no seccomp here";
      EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
      const std::string said = ended.out + ended.err;
      EXPECT_NE(said.find(std::string("(EPERM): ") + name + "(2) is denied"), std::string::npos)
          << said;
      EXPECT_NE(said.find("seccomp"), std::string::npos) << said;
      EXPECT_EQ(said.find("too old"), std::string::npos) << said;
    }
}

TEST_F(CliProbe, threads_that_cannot_be_had_are_not_io_urings_fault) {
  const Ended ended = tool_after(forbid_threads, "serve --listen 127.0.0.1:0 --shards 3");
  if (skip_) GTEST_SKIP() << "no seccomp here";
  expect_one_sentence(ended, 6,
                      "cannot start a thread for each of 3 shards (EAGAIN): raise RLIMIT_NPROC");
  EXPECT_EQ(ended.err.find("io_uring"), std::string::npos) << ended.err;
}

TEST_F(CliProbe, an_eventfd_that_is_denied_is_not_io_urings_fault) {
  const Ended ended = tool_after([] { return forbid(SYS_eventfd2, EPERM); },
                                 "serve --listen 127.0.0.1:0 --shards 2");
  if (skip_) GTEST_SKIP() << "no seccomp here";
  expect_one_sentence(ended, 6, "eventfd(2) cannot be had (EPERM): a filter denies it");
  EXPECT_EQ(ended.err.find("io_uring"), std::string::npos) << ended.err;
}

TEST_F(CliProbe, descriptors_that_run_out_meanwhile_are_what_is_lacking) {
  const auto with_descriptors = [&](int count) {
    // Of its own it has three, and none that this test left open.
    return Process(folder_.path(), {"/bin/sh", "-c",
                                    "exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; ulimit -n " +
                                        std::to_string(count) + "; exec " + tool_path() + " probe"})
        .wait();
  };
  for (const int count : {4, 5, 6}) {
    SCOPED_TRACE(count);
    const Ended ended = with_descriptors(count);
    EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
    EXPECT_NE(ended.out.find("descriptors ran out while probing (EMFILE)"), std::string::npos)
        << ended.out;
    EXPECT_NE(ended.out.find("unknown  multishot receive"), std::string::npos) << ended.out;
    EXPECT_EQ(ended.out.find("missing  multishot"), std::string::npos) << ended.out;
    EXPECT_NE(ended.out.find("production cannot run here"), std::string::npos) << ended.out;
  }
  EXPECT_EQ(with_descriptors(10).exit_code, 0);
}

TEST_F(CliProbe, without_io_uring_by_decree_it_fails_too) {
  const Ended ended =
      run_tool_in(folder_.path(), tool_path(), "probe", {{"TWINWIRE_FORCE_NO_IOURING", "1"}});
  EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("no io_uring"), std::string::npos) << ended.out;
}

}  // namespace
}  // namespace twinwire::props
