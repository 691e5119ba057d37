// SPDX-License-Identifier: Apache-2.0
// HandshakeTerms: until when a newcomer's handshake may take, and where it says in words what failed it.
//
// It converts from and to a Deadline: a handshake that has nothing to say takes a Deadline, and whoever wants no words
// gives one. A layer that wraps another hands its terms on.
#pragma once

#include <new>
#include <string>
#include <string_view>

#include "transport/base/time.h"

namespace twinwire {

struct HandshakeTerms {
  HandshakeTerms(Deadline until, std::string* said = nullptr) noexcept
      : deadline(until), why(said) {}
  operator Deadline() const noexcept { return deadline; }

  // The cause, for the log of the side that refuses: "certificate expired". The first to speak knows best.
  void explain(std::string_view cause) const noexcept {
    if (why == nullptr || !why->empty()) return;
    try {
      why->assign(cause);
    } catch (const std::bad_alloc&) {  // then without words
    }
  }

  Deadline deadline;
  std::string* why;
};

}  // namespace twinwire
