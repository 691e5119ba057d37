// SPDX-License-Identifier: Apache-2.0
#include "cli/child.h"

#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <utility>

#include "cli/exit_code.h"

namespace twinwire::cli {
namespace {

constexpr off_t said_max = 4096;

[[noreturn]] void be_the_child(const Child::Options& options, pid_t parent, int said,
                               const std::function<int()>& body) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(0);  // the parent died before that
  if (said >= 0) ::dup2(said, STDERR_FILENO);
  if (!options.foreground) {
    std::signal(SIGINT, SIG_IGN);
    std::signal(SIGTERM, SIG_IGN);
  }
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  int code = 0;
  try {
    code = body();
    // What a verb prints from its child is the child's to lose: the parent never sees that it did not arrive.
    if (options.foreground) finish_output();
  } catch (const Failure& failure) {
    std::fprintf(stderr, "twinwire: %s\n", failure.what());
    code = static_cast<int>(failure.code());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "twinwire: an exception left the run: %s\n", e.what());
    std::fflush(nullptr);
    std::abort();
  }
  std::fflush(nullptr);
  options.pulse->orderly.store(true);
  ::_exit(code);
}

std::string read_end(int descriptor) {
  const off_t size = ::lseek(descriptor, 0, SEEK_END);
  const off_t from = std::max<off_t>(0, size - said_max);
  std::string text(static_cast<std::size_t>(size - from), '\0');
  const ssize_t n = ::pread(descriptor, text.data(), text.size(), from);
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::string signal_name(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(signal);
}

}  // namespace

void wait_for_any(const std::vector<std::unique_ptr<Child>>& children, Duration timeout) {
  std::vector<pollfd> waited;
  for (const auto& child : children)
    if (child) waited.push_back({child->descriptor(), POLLIN, 0});
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
  ::poll(waited.data(), waited.size(), static_cast<int>(ms));
}

unsigned processors() noexcept {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
}

TimePoint real_now() noexcept {
  return {std::chrono::steady_clock::now().time_since_epoch().count()};
}

TimePoint processor_now() noexcept {
  timespec used{};
  (void)::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return {used.tv_sec * 1'000'000'000LL + used.tv_nsec};
}

void finish_output() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
    throw Failure(ExitCode::environment,
                  std::string("cannot write the output: ") + std::strerror(errno));
}

std::string Death::failure_key() const {
  if (kind == Kind::hung) return "no_progress:hang";
  if (kind == Kind::ended) return "ended";
  return signal != 0 ? "crash:" + signal_name(signal) : "crash:exit_" + std::to_string(exit_code);
}

std::string Death::sentence() const {
  if (kind == Kind::hung)
    return "no fiber was resumed and the time stood still for too long; the process was killed";
  if (kind == Kind::ended) return "the process ended with " + std::to_string(exit_code);
  return signal != 0 ? "the process was killed by " + signal_name(signal)
                     : "the process left with exit code " + std::to_string(exit_code);
}

Child::Child(const Options& options, const std::function<int()>& body) : options_(options) {
  if (options.capture_stderr) said_descriptor_ = ::memfd_create("twinwire-said", MFD_CLOEXEC);
  options.pulse->orderly.store(false);
  options.pulse->running.store(false);
  std::fflush(nullptr);
  const pid_t self = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) be_the_child(options, self, said_descriptor_, body);
  if (pid_ < 0)
    throw Failure(ExitCode::environment,
                  "cannot start a worker process: " + std::string(std::strerror(errno)));
  pid_descriptor_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  last_moved_ = last_looked_ = real_now();
}

Child::Child(Child&& other) noexcept
    : options_(other.options_),
      pid_(std::exchange(other.pid_, -1)),
      pid_descriptor_(std::exchange(other.pid_descriptor_, -1)),
      said_descriptor_(std::exchange(other.said_descriptor_, -1)),
      last_progress_(other.last_progress_),
      last_moved_(other.last_moved_),
      last_looked_(other.last_looked_) {}

Child& Child::operator=(Child&& other) noexcept {
  std::swap(options_, other.options_);
  std::swap(pid_, other.pid_);
  std::swap(pid_descriptor_, other.pid_descriptor_);
  std::swap(said_descriptor_, other.said_descriptor_);
  std::swap(last_progress_, other.last_progress_);
  std::swap(last_moved_, other.last_moved_);
  std::swap(last_looked_, other.last_looked_);
  return *this;
}

Child::~Child() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  if (pid_descriptor_ >= 0) ::close(pid_descriptor_);
  if (said_descriptor_ >= 0) ::close(said_descriptor_);
}

bool Child::has_hung() {
  if (options_.hang_after == Duration::zero()) return false;
  const std::uint64_t progress = options_.pulse->beats;
  const TimePoint now = real_now();
  // Where nobody looked for so long the whole tool was stopped, by Ctrl-Z for instance: its children with it.
  const bool slept = now - std::exchange(last_looked_, now) > options_.hang_after / 2;
  if (progress != last_progress_ || slept || !options_.pulse->running.load()) {
    last_progress_ = progress;
    last_moved_ = now;
  }
  return now - last_moved_ > options_.hang_after;
}

std::optional<Death> Child::poll() {
  if (pid_ <= 0) return std::nullopt;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) == pid_) return reap(status);
  if (!has_hung()) return std::nullopt;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, &status, 0);
  Death death = reap(status);
  death.kind = Death::Kind::hung;
  return death;
}

Death Child::reap(int status) {
  pid_ = -1;
  Death death;
  if (WIFEXITED(status)) death.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) death.signal = WTERMSIG(status);
  death.kind = options_.pulse->orderly.load() && death.signal == 0 ? Death::Kind::ended
                                                                   : Death::Kind::crashed;
  if (said_descriptor_ >= 0) death.said = read_end(said_descriptor_);
  return death;
}

Death Child::wait() {
  return *wait_unless([] { return false; });
}

std::optional<Death> Child::wait_unless(const std::function<bool()>& enough) {
  for (;;) {
    if (auto death = poll()) return death;
    if (enough()) return std::nullopt;
    pollfd waited{pid_descriptor_, POLLIN, 0};
    ::poll(&waited, 1, 100);
  }
}

int run_supervised(const Child::Options& options, bool in_process, const std::function<int()>& body,
                   const std::function<int(const Death&)>& on_death) {
  if (in_process) return body();
  const Death death = Child(options, body).wait();
  if (death.kind == Death::Kind::ended) return death.exit_code;
  // Our own output's reader went away, or the user pressed Ctrl-C: no finding of the run's.
  for (const int signal : {SIGPIPE, SIGINT, SIGTERM}) {
    if (death.kind != Death::Kind::crashed || death.signal != signal) continue;
    std::signal(signal, SIG_DFL);
    ::raise(signal);
  }
  return on_death(death);
}

}  // namespace twinwire::cli
