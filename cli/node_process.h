// SPDX-License-Identifier: Apache-2.0
// NodeProcess: this tool once more, as a process of a cluster of its own: what it prints goes into a file.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace twinwire::cli {

class NodeProcess {
 public:
  // Throws Failure(environment) where there can be no process. It dies with us.
  NodeProcess(const std::vector<std::string>& arguments, std::string output);
  NodeProcess(const NodeProcess&) = delete;
  NodeProcess& operator=(const NodeProcess&) = delete;
  ~NodeProcess() { (void)kill(); }

  // SIGKILL, and waits until it is gone: what it ended with, as ended(). Where it had ended by itself, that.
  int kill() noexcept;
  void terminate() const noexcept;  // SIGTERM
  // Its exit code, once it has ended; 128 and the signal's number where that ended it. Never blocks.
  std::optional<int> ended();

  // What it has printed so far, errors included.
  std::string said() const;

 private:
  std::string output_;
  pid_t pid_ = -1;
  std::optional<int> code_;
};

}  // namespace twinwire::cli
