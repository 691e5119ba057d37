// SPDX-License-Identifier: Apache-2.0
// Interrupt: Ctrl-C and SIGTERM as a value, while one of these is alive. One within another counts for itself what
// comes while it lives; the outer one counts that, too.
#pragma once

#include <csignal>

namespace twinwire::cli {

class Interrupt {
 public:
  Interrupt() noexcept;
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  ~Interrupt();

  int count() const noexcept;  // how often it came

 private:
  int before_;
  struct sigaction old_int_;
  struct sigaction old_term_;
};

}  // namespace twinwire::cli
