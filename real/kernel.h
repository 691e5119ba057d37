// SPDX-License-Identifier: Apache-2.0
// Kernel: the system calls behind a ring's machinery: those that set an io_uring up and enter it, and those that look
// at or give back the files it works on. Linux in production; a test may play the kernel itself (props/fake_kernel/),
// and then the code above runs on submission and completion queues that no kernel has seen.
//
// Crossed once for each io_uring_enter(2), sendmsg(2) and close(2): never for an operation, a message or a byte.
#pragma once

#include <liburing.h>
#include <sys/socket.h>

#include <cerrno>

#include "transport/base/time.h"
#include "transport/net/address.h"

namespace twinwire::real {

class Kernel {
 public:
  // Linux itself. It has no state.
  static Kernel& native() noexcept;

  // io_uring_queue_init_params(3). 0, or a negative errno; then tear_down() is not called.
  virtual int set_up(unsigned entries, io_uring& ring, io_uring_params& params) noexcept = 0;
  // io_uring_queue_exit(3): ends what is in flight.
  virtual void tear_down(io_uring& ring) noexcept = 0;
  // Whether it has the operation (IORING_OP_*).
  virtual bool supports(io_uring& ring, int operation) noexcept = 0;
  // io_uring_register_buf_ring(3). 0, or a negative errno.
  virtual int register_buffers(io_uring& ring, io_uring_buf_reg& request) noexcept = 0;

  // io_uring_enter(2): submits what is queued and fetches completions, without waiting. What the system call returns,
  // or a negative errno.
  virtual int poll(io_uring& ring) noexcept = 0;
  // The same, and waits for a completion, a signal or the end of `timeout` (never: Duration::max()).
  virtual int wait(io_uring& ring, Duration timeout) noexcept = 0;

  // sendmsg(2), without waiting: how many bytes were taken, or a negative errno. -EAGAIN from a kernel that would
  // rather be asked by its queue.
  virtual ssize_t send_now(int /*fd*/, const msghdr& /*message*/) noexcept { return -EAGAIN; }

  // sendmmsg(2), without waiting: how many messages were taken, or a negative errno.
  virtual int send_datagrams(int /*fd*/, mmsghdr* /*messages*/, unsigned /*count*/) noexcept {
    return -EOPNOTSUPP;
  }

  virtual void close(int fd) noexcept = 0;
  // close(2) after SO_LINGER{1, 0}: a connected stream's peer reads a reset.
  virtual void close_with_reset(int fd) noexcept = 0;
  // shutdown(2) of SHUT_WR. 0 or an errno.
  virtual int shutdown_write(int fd) noexcept = 0;
  // getsockname(2), getpeername(2); all zero where they fail.
  virtual Address local_address(int fd) noexcept = 0;
  virtual Address peer_address(int fd) noexcept = 0;

 protected:
  ~Kernel() = default;
};

}  // namespace twinwire::real
