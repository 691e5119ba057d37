// SPDX-License-Identifier: Apache-2.0
// What the tool's exit code says. Scripts depend on these numbers: never renumber.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace twinwire::cli {

enum class ExitCode : std::uint8_t {
  pass = 0,
  law_broken = 1,      // a law of the contract was violated
  bad_usage = 2,       // an option, a name or a file that makes no sense; nothing was run
  no_progress = 3,     // a deadlock, a livelock, or a hang
  crash = 4,           // the process that ran the seed died
  nondeterminism = 5,  // two runs of one seed differ
  environment =
      6,  // this machine or the peer lacks something: io_uring, a free port, a connection that lasts
  untested =
      7,  // nothing failed, and what was to be tested did not happen: a fault never bit, a state never came
};

// The same as text, for --help.
inline constexpr const char* exit_code_help =
    "Exit codes: 0 pass, 1 law broken, 2 bad usage or bad input, 3 no progress, 4 crash, 5 "
    "nondeterminism,\n"
    "            6 the environment lacks something (io_uring, a free port, a peer), 7 untested: a "
    "fault\n"
    "            never bit, or a state never came";

// Ends a verb with one sentence on standard error. For a person: what is wrong, and what to do about it.
class Failure : public std::runtime_error {
 public:
  Failure(ExitCode code, const std::string& sentence) : std::runtime_error(sentence), code_(code) {}
  ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

[[noreturn]] inline void bad_usage(const std::string& sentence) {
  throw Failure(ExitCode::bad_usage, sentence);
}

// Which of two outcomes a hunt reports when it found both.
constexpr ExitCode graver(ExitCode a, ExitCode b) noexcept {
  constexpr auto rank = [](ExitCode code) {
    switch (code) {
      case ExitCode::pass: return 0;
      case ExitCode::untested: return 1;
      case ExitCode::law_broken: return 2;
      case ExitCode::no_progress: return 3;
      case ExitCode::crash: return 4;
      case ExitCode::nondeterminism: return 5;
      case ExitCode::environment: return 6;
      case ExitCode::bad_usage: return 7;
    }
    return 7;
  };
  return rank(a) >= rank(b) ? a : b;
}

}  // namespace twinwire::cli
