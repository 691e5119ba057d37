// SPDX-License-Identifier: Apache-2.0
// Child: a forked process under watch, so that an abort or a hang of what it runs becomes a value.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transport/base/time.h"

namespace twinwire::cli {

// Lies in shared memory. The child moves it; the parent watches.
struct Pulse {
  volatile std::uint64_t beats;  // of the world (WorldOptions::progress)
  std::atomic<bool> running;     // a run is in progress: without a beat for too long it is a hang
  std::atomic<bool> orderly;     // the child returned from its body: its exit code is its own
};

// While alive, the child's pulse is expected to beat.
class Running {
 public:
  explicit Running(Pulse& pulse) noexcept : pulse_(&pulse) { pulse.running.store(true); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() { pulse_->running.store(false); }

 private:
  Pulse* pulse_;
};

// How a child ended.
struct Death {
  enum class Kind : std::uint8_t {
    ended,    // returned from its body with `exit_code`
    crashed,  // killed by a signal, or left the process in any other way
    hung,     // its pulse did not beat for too long, and it was killed
  };
  Kind kind = Kind::ended;
  int exit_code = 0;
  int signal = 0;
  std::string said;  // the end of what it wrote to standard error, where that was captured

  std::string failure_key() const;  // "crash:SIGABRT", "crash:exit_66", "no_progress:hang"
  std::string sentence() const;     // "the process was killed by SIGABRT"
};

class Child {
 public:
  struct Options {
    Pulse* pulse = nullptr;
    Duration hang_after = std::chrono::seconds(10);  // zero: never
    bool capture_stderr = false;
    bool foreground = false;  // Ctrl-C reaches it; otherwise the parent alone is told
  };

  // Forks; the child runs `body` and leaves with what it returns, without running destructors.
  // Throws Failure where there can be no process.
  Child(const Options& options, const std::function<int()>& body);
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  ~Child();  // kills it, if it is alive

  // How it ended, once. Never blocks; kills it where it has hung.
  std::optional<Death> poll();
  // Blocks until it has ended, or hung.
  Death wait();
  // The same, until `enough` says so: then it has not ended yet.
  std::optional<Death> wait_unless(const std::function<bool()>& enough);

  int descriptor() const noexcept {
    return pid_descriptor_;
  }  // poll(2): readable once it has ended
  bool alive() const noexcept { return pid_ > 0; }

 private:
  bool has_hung();
  Death reap(int status);

  Options options_;
  pid_t pid_ = -1;
  int pid_descriptor_ = -1;
  int said_descriptor_ = -1;
  std::uint64_t last_progress_ = 0;
  TimePoint last_moved_;
  TimePoint last_looked_;
};

// Waits up to `timeout` for one of them to end. Those that are gone are nullptr.
void wait_for_any(const std::vector<std::unique_ptr<Child>>& children, Duration timeout);

// How many processors this process may use.
unsigned processors() noexcept;

// CLOCK_MONOTONIC of the real world: cli/ is outside of every simulated one.
TimePoint real_now() noexcept;
// Processor time that this process has used: what a rate is measured by where others use the machine, too.
TimePoint processor_now() noexcept;

// What was printed reached its reader. Throws Failure(environment) where it did not.
void finish_output();

// Runs a verb's body in a child and gives back its exit code; where it crashes or hangs, `on_death` says what to do.
// `in_process`: no child, for a debugger.
int run_supervised(const Child::Options& options, bool in_process, const std::function<int()>& body,
                   const std::function<int(const Death&)>& on_death);

}  // namespace twinwire::cli
