// SPDX-License-Identifier: Apache-2.0
// Counters: what a Ring has done and met, so that a test can prove that real short writes and resets happened.
#pragma once

#include <cstdint>

namespace twinwire::real {

struct Counters {
  // The machine.
  std::uint64_t turns =
      0;  // of the loop: the fibers that were ready ran, then the ring had its turn
  std::uint64_t enters = 0;      // io_uring_enter(2) calls
  std::uint64_t waits = 0;       // of those, with nothing to run: slept until an event or a timer
  std::uint64_t operations = 0;  // operations started
  std::uint64_t multishot_completions = 0;  // of operations that went on
  std::uint64_t queued = 0;   // operations and cancels that met a full submission queue and waited
  std::uint64_t cancels = 0;  // operations whose end was asked for
  std::uint64_t cancels_too_late =
      0;  // of those, the operation succeeded all the same, and its result was delivered
  std::uint64_t buffers_short =
      0;  // receives that found the provided buffers used up, and were repeated

  // The network.
  std::uint64_t connections_dialed = 0;
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_adopted = 0;  // that another ring had handed over
  std::uint64_t connections_closed = 0;   // of all three, or handed over; the rest is open
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t short_writes = 0;  // writes of which the kernel took a part
  std::uint64_t zero_copy_writes = 0;
  std::uint64_t direct_writes = 0;  // sendmsg(2) calls, where the ring had nothing else to submit
  std::uint64_t resets_met = 0;     // operations that failed with ECONNRESET or EPIPE
  std::uint64_t resets_sent = 0;    // connections closed by a linger of zero
  std::uint64_t datagrams_sent = 0;
  std::uint64_t datagrams_received = 0;
};

}  // namespace twinwire::real
