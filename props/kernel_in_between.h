// SPDX-License-Identifier: Apache-2.0
// KernelInBetween: Linux, but for what a test overrides.
#pragma once

#include "real/kernel.h"

namespace twinwire::real {

// Calls f with each request that waits to be handed in, which f may change.
template <class F>
void for_each_request(io_uring& ring, F&& f) {
  for (unsigned at = ring.sq.sqe_head; at != ring.sq.sqe_tail; ++at)
    f(ring.sq.sqes[at & ring.sq.ring_mask]);
}

class KernelInBetween : public Kernel {
 public:
  int set_up(unsigned entries, io_uring& ring, io_uring_params& params) noexcept override {
    return linux_->set_up(entries, ring, params);
  }
  void tear_down(io_uring& ring) noexcept override { linux_->tear_down(ring); }
  bool supports(io_uring& ring, int operation) noexcept override {
    return linux_->supports(ring, operation);
  }
  int register_buffers(io_uring& ring, io_uring_buf_reg& request) noexcept override {
    return linux_->register_buffers(ring, request);
  }
  int poll(io_uring& ring) noexcept override { return linux_->poll(ring); }
  int wait(io_uring& ring, Duration timeout) noexcept override {
    return linux_->wait(ring, timeout);
  }
  ssize_t send_now(int fd, const msghdr& message) noexcept override {
    return linux_->send_now(fd, message);
  }
  int send_datagrams(int fd, mmsghdr* messages, unsigned count) noexcept override {
    return linux_->send_datagrams(fd, messages, count);
  }
  void close(int fd) noexcept override { linux_->close(fd); }
  void close_with_reset(int fd) noexcept override { linux_->close_with_reset(fd); }
  int shutdown_write(int fd) noexcept override { return linux_->shutdown_write(fd); }
  Address local_address(int fd) noexcept override { return linux_->local_address(fd); }
  Address peer_address(int fd) noexcept override { return linux_->peer_address(fd); }

 protected:
  ~KernelInBetween() = default;

 private:
  Kernel* linux_ = &Kernel::native();
};

}  // namespace twinwire::real
