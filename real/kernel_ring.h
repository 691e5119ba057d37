// SPDX-License-Identifier: Apache-2.0
// KernelRing: the io_uring itself: set up in the best mode that the kernel has, filled, entered, reaped.
#pragma once

#include <liburing.h>

#include "real/counters.h"
#include "real/kernel.h"
#include "real/ring_options.h"
#include "transport/base/time.h"

namespace twinwire::real {

class KernelRing {
 public:
  KernelRing(Kernel& kernel, Counters& counters) noexcept
      : kernel_(&kernel), counters_(&counters) {}
  KernelRing(const KernelRing&) = delete;
  KernelRing& operator=(const KernelRing&) = delete;
  ~KernelRing();

  // Sets the ring up for the calling thread, which from then on is the only one that may use it. 0 or an errno;
  // EOPNOTSUPP: there is an io_uring, but it lacks something without which this does not work.
  int open(const RingOptions& options) noexcept;
  RingMode mode() const noexcept { return mode_; }

  // Puts a copy of `request` into the submission queue. False, and nothing done: it is full.
  bool push(const io_uring_sqe& request) noexcept {
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
    if (entry == nullptr) return false;
    *entry = request;
    return true;
  }
  bool has_completions() const noexcept { return ::io_uring_cq_ready(&ring_) != 0; }

  // Submits what is queued and fetches completions, without waiting; no system call if there is nothing to do.
  void poll() noexcept;
  // Submits what is queued and waits for a completion, a signal or the end of `timeout` (never: Duration::max()).
  void wait(Duration timeout) noexcept;

  // Calls f(user_data, result, flags) for each completion, in order, and before that prepare(user_data) of one that
  // comes soon. `f` must not suspend or enter the kernel.
  template <class Prepare, class F>
  void reap(Prepare&& prepare, F&& f) noexcept {
    unsigned head = 0;
    unsigned count = 0;
    io_uring_cqe* completion = nullptr;
    io_uring_for_each_cqe(&ring_, head, completion) {
      // Of the last ones it looks at what earlier turns left there, which is harmless.
      prepare(ring_.cq.cqes[(head + 2) & *ring_.cq.kring_mask].user_data);
      f(completion->user_data, completion->res, completion->flags);
      ++count;
    }
    ::io_uring_cq_advance(&ring_, count);
  }

  // Registers a ring of provided buffers. 0, or a negative errno.
  int register_buffers(io_uring_buf_reg& request) noexcept {
    return kernel_->register_buffers(ring_, request);
  }
  bool supports(int operation) noexcept { return kernel_->supports(ring_, operation); }
  Kernel& kernel() const noexcept { return *kernel_; }
  // What other rings send messages to.
  int fd() const noexcept { return ring_.ring_fd; }
  // Yes: a poll() or wait() has something to submit.
  bool has_submissions() const noexcept {
    return ring_.sq.sqe_tail != __atomic_load_n(ring_.sq.khead, __ATOMIC_RELAXED);
  }

 private:
  int open_in(RingMode mode, const RingOptions& options) noexcept;
  bool has_what_it_takes() noexcept;

  Kernel* kernel_;
  io_uring ring_{};
  bool open_ = false;
  RingMode mode_ = RingMode::plain;
  Counters* counters_;
};

}  // namespace twinwire::real
