// SPDX-License-Identifier: Apache-2.0
// Running the tool as a user does: as a process, with its output, its exit code and a folder of its own.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace twinwire::props {

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "twinwire-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct Ended {
  int exit_code = -1;  // -1: killed by a signal
  std::string out;
  std::string err;
};

// A process in the background; its output goes to files in its folder.
class Process {
 public:
  Process(const std::filesystem::path& folder, const std::vector<std::string>& command,
          const std::vector<std::pair<std::string, std::string>>& environment = {})
      : out_(folder / ("out." + std::to_string(++started_))), err_(out_.string() + ".err") {
    std::vector<char*> arguments;
    for (const std::string& argument : command)
      arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ != 0) return;
    const int out = ::open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int err = ::open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(err, STDERR_FILENO);
    for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
    if (::chdir(folder.c_str()) == 0) ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }

  void signal(int number) { ::kill(pid_, number); }
  // Bytes of memory that it holds now.
  std::size_t resident() const {
    const std::string status = read_file("/proc/" + std::to_string(pid_) + "/status");
    const std::size_t at = status.find("VmRSS:");
    return at == std::string::npos ? 0 : std::stoull(status.substr(at + 6)) * 1024;
  }
  std::string out() const { return read_file(out_); }
  std::string err() const { return read_file(err_); }

  // Waits until its standard output holds that text; false if it ends before, or is too slow.
  bool says(const std::string& text,
            std::chrono::seconds patience = std::chrono::seconds(60)) const {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (out().find(text) == std::string::npos) {
      if (std::chrono::steady_clock::now() > until) return false;
      siginfo_t ended{};
      const int got = ::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT);
      if (got == 0 && ended.si_pid == pid_) return out().find(text) != std::string::npos;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }

  Ended wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, out(), err()};
  }

 private:
  static inline int started_ = 0;
  std::filesystem::path out_;
  std::filesystem::path err_;
  pid_t pid_ = -1;
};

// The tool that was built beside this test; ctest says where.
inline std::string tool_path(const char* variable = "TWINWIRE") {
  const char* path = std::getenv(variable);
  if (path == nullptr) ADD_FAILURE() << variable << " is not set; run this through ctest";
  return path != nullptr ? path : "/nonexistent";
}

inline std::vector<std::string> words(const std::string& line) {
  std::vector<std::string> result;
  std::string word;
  for (const char c : line + " ") {
    if (c != ' ') {
      word += c;
    } else if (!word.empty()) {
      result.push_back(std::exchange(word, {}));
    }
  }
  return result;
}

// Runs `tool` with arguments as typed (no quoting), in that folder.
inline Ended run_tool_in(const std::filesystem::path& folder, const std::string& tool,
                         const std::string& arguments,
                         const std::vector<std::pair<std::string, std::string>>& environment = {}) {
  std::vector<std::string> command = words(arguments);
  command.insert(command.begin(), tool);
  return Process(folder, command, environment).wait();
}

// The lines of an output that hold that text.
inline std::vector<std::string> lines_with(const std::string& text, const std::string& part) {
  std::vector<std::string> lines;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    if (line.find(part) != std::string::npos) lines.push_back(line);
    at = end + 1;
  }
  return lines;
}

// One sentence on standard error, and nothing else.
inline void expect_one_sentence(const Ended& ended, int exit_code, const std::string& part) {
  EXPECT_EQ(ended.exit_code, exit_code) << ended.out << ended.err;
  EXPECT_TRUE(ended.err.starts_with("twinwire: ")) << ended.err;
  EXPECT_NE(ended.err.find(part), std::string::npos)
      << "wanted: " << part << "\ngot: " << ended.err;
  EXPECT_EQ(ended.err.find('\n') + 1, ended.err.size()) << ended.err;
}

}  // namespace twinwire::props
