// SPDX-License-Identifier: Apache-2.0
// The peers of `bench real`, each in a file of its own. They throw where anything fails.
#pragma once

#include "props/peers/real/side.h"

namespace twinwire::peers {

void run_real_uring(const RealCall& call);
void run_real_epoll(const RealCall& call);
void run_real_asio(const RealCall& call);
void run_real_spawn(const RealCall& call);
void run_real_libuv(const RealCall& call);
void run_real_zmq(const RealCall& call);

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
    {"epoll", "stream echo ping-pong singles", "nonblocking sockets, writev; a single: one write",
     &run_real_epoll},
    {"asio", "stream echo ping-pong", "Boost.Asio, callbacks", &run_real_asio},
    {"spawn", "stream echo ping-pong", "Boost.Asio, stackful coroutines", &run_real_spawn},
    {"libuv", "stream echo ping-pong", "libuv", &run_real_libuv},
    {"zmq", "stream echo ping-pong singles",
     "ZeroMQ: PUSH and PULL, DEALER and ROUTER; a thread more at each end", &run_real_zmq},
};

}  // namespace twinwire::peers
