// SPDX-License-Identifier: Apache-2.0
// RingOptions: the sizes and limits of one Ring.
#pragma once

#include <cstddef>
#include <cstdint>

#include "transport/fiber/stack_pool.h"
#include "transport/wire/buffer_pool.h"

namespace twinwire::real {

// How completions reach the thread; the best that the kernel has is taken, from `best_mode` down.
enum class RingMode : std::uint8_t {
  deferred,  // DEFER_TASKRUN, SINGLE_ISSUER: only while the thread is in the kernel for them (Linux 6.1)
  cooperative,  // COOP_TASKRUN: at the thread's next system call (Linux 5.19)
  plain,        // by interrupting the thread
};

class Kernel;

struct RingOptions {
  RingMode best_mode = RingMode::deferred;
  std::uint32_t submission_entries = 1024;  // what is over waits in a queue of our own
  std::uint32_t completion_entries = 16 * 1024;
  std::uint32_t operations_max =
      1'000'000;  // in flight at one time; over it an operation fails with no_resources
  std::uint32_t provided_buffers =
      512;  // that the kernel picks from, a power of two; 0: none are provided
  std::uint32_t receive_buffers_max =
      4096;  // of 256 KiB, and as many of 16 KiB, at most 65,535; lent out or provided
  bool multishot_receive = true;  // where the kernel has it (Linux 6.0) and buffers are provided
  // One accept for many connections, where the kernel has it (Linux 5.19): for storms of them. Off: the kernel then
  // gives no addresses, and of a peer that has reset its connection by the time it is asked for there is none left.
  bool multishot_accept = false;
  // A write is handed over by a sendmsg(2) of its own where no other fiber is ready and nothing is queued for the ring:
  // the fiber goes on at once, at one system call more where it then waits.
  bool direct_writes = true;
  // Writes of at least so many bytes are sent without a copy (SEND_ZC, Linux 6.1; 0: none). Such a write ends when the
  // peer's kernel has acknowledged the bytes, one round trip later, so it pays for large batches over a network whose
  // round trip is short; over loopback the kernel copies all the same.
  std::size_t zero_copy_min = 0;
  std::size_t message_bytes_max = BufferPool::default_limit;
  std::size_t stack_size = StackPool::default_slot_size;
  std::size_t stacks_max = 1'000'000;
  // Measure how long the fibers keep the loop from the kernel (Ring::busy). One more reading of the clock a turn.
  bool measure_turns = false;
  int force_probe_failure =
      0;  // for tests: create() fails as if io_uring_setup(2) had with this errno
  Kernel* kernel = nullptr;  // for tests: one that answers for Linux; it outlives the ring
};

}  // namespace twinwire::real
