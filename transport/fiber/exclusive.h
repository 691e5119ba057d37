// SPDX-License-Identifier: Apache-2.0
// Exclusive: a part that at most one fiber may be inside at a time. A second one is a bug of the caller, and aborts.
#pragma once

#include "transport/base/check.h"

namespace twinwire {

class Exclusive {
 public:
  // `taken` is borrowed; `what` is the sentence of the abort.
  Exclusive(bool& taken, const char* what) : taken_(taken) {
    TWINWIRE_CHECK(!taken_, what);
    taken_ = true;
  }
  Exclusive(const Exclusive&) = delete;
  Exclusive& operator=(const Exclusive&) = delete;
  ~Exclusive() { taken_ = false; }

 private:
  bool& taken_;
};

}  // namespace twinwire
