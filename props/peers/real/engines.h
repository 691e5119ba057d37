// SPDX-License-Identifier: Apache-2.0
// The peers of `bench real`, each in a file of its own. They throw where anything fails.
#pragma once

#include "props/peers/real/side.h"

namespace twinwire::peers {

void run_real_uring(const RealCall& call);

struct RealPeer {
  const char* name;
  const char* kinds;  // of work that it does
  const char* what;
  void (*run)(const RealCall&);
};
inline constexpr RealPeer real_peers[] = {
    {"uring", "stream echo ping-pong", "liburing by hand, a batch in pieces", &run_real_uring},
    {"uring-flat", "stream echo ping-pong", "the same, a batch copied into one buffer",
     &run_real_uring},
};

}  // namespace twinwire::peers
