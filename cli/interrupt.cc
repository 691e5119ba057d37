// SPDX-License-Identifier: Apache-2.0
#include "cli/interrupt.h"

namespace twinwire::cli {
namespace {

volatile std::sig_atomic_t arrived = 0;
void on_signal(int) { arrived = arrived + 1; }

}  // namespace

Interrupt::Interrupt() noexcept : before_(arrived), old_int_{}, old_term_{} {
  struct sigaction action{};
  action.sa_handler = &on_signal;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, &old_int_);
  ::sigaction(SIGTERM, &action, &old_term_);
}

Interrupt::~Interrupt() {
  ::sigaction(SIGINT, &old_int_, nullptr);
  ::sigaction(SIGTERM, &old_term_, nullptr);
}

int Interrupt::count() const noexcept { return arrived - before_; }

}  // namespace twinwire::cli
