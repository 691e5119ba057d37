// SPDX-License-Identifier: Apache-2.0
#include "cli/node_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "cli/exit_code.h"

namespace twinwire::cli {
namespace {

int code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace

NodeProcess::NodeProcess(const std::vector<std::string>& arguments, std::string output)
    : output_(std::move(output)) {
  std::vector<std::string> words{"twinwire"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int out = ::open(output_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (out < 0)
    throw Failure(ExitCode::environment, "cannot write what a process of the cluster says to " +
                                             output_ + ": " + std::strerror(errno));
  std::fflush(nullptr);
  const pid_t self = ::getpid();
  pid_ = ::fork();
  const int why = errno;
  if (pid_ != 0) ::close(out);
  if (pid_ < 0)
    throw Failure(ExitCode::environment,
                  "cannot start a process of the cluster: " + std::string(std::strerror(why)));
  if (pid_ != 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != self) ::_exit(0);  // the parent died before that
  // Ctrl-C is for whoever started us.
  ::setpgid(0, 0);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(out, STDERR_FILENO);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execv("/proc/self/exe", argv.data());
  ::_exit(127);
}

int NodeProcess::kill() noexcept {
  if (pid_ > 0 && !code_) {
    ::kill(pid_, SIGKILL);
    int status = 0;
    if (::waitpid(pid_, &status, 0) == pid_) code_ = code_of(status);
  }
  return code_.value_or(-1);
}

void NodeProcess::terminate() const noexcept {
  if (pid_ > 0 && !code_) ::kill(pid_, SIGTERM);
}

std::optional<int> NodeProcess::ended() {
  int status = 0;
  if (!code_ && ::waitpid(pid_, &status, WNOHANG) == pid_) code_ = code_of(status);
  return code_;
}

std::string NodeProcess::said() const {
  std::string text;
  const int file = ::open(output_.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return text;
  std::array<char, 65536> buffer{};
  for (ssize_t n = 0; (n = ::read(file, buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(n));
  ::close(file);
  return text;
}

}  // namespace twinwire::cli
