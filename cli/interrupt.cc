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

// Who was interrupted is on the way out, with an exit code that says what came of it: a key that is held down must not
// take that away.
Interrupt::~Interrupt() {
  if (count() > 0 && old_int_.sa_handler == SIG_DFL) old_int_.sa_handler = SIG_IGN;
  ::sigaction(SIGINT, &old_int_, nullptr);
  ::sigaction(SIGTERM, &old_term_, nullptr);
}

int Interrupt::count() const noexcept { return arrived - before_; }

}  // namespace twinwire::cli
