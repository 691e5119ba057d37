// SPDX-License-Identifier: Apache-2.0
#include "real/kernel.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "real/refused_call.h"
#include "real/socket_address.h"

namespace twinwire::real {
namespace {

class LinuxKernel final : public Kernel {
 public:
  int set_up(unsigned entries, io_uring& ring, io_uring_params& params) noexcept override {
    if (const int error = ::io_uring_queue_init_params(entries, &ring, &params); error != 0)
      return error;
    // Better told now than by the first enter, in the middle of the work.
    if (const RefusedCall refused = refused_call(ring); refused.error != 0) {
      ::io_uring_queue_exit(&ring);
      return -refused.error;
    }
    // An optimisation: the kernel need not look the descriptor up at each enter.
    (void)::io_uring_register_ring_fd(&ring);
    return 0;
  }
  void tear_down(io_uring& ring) noexcept override { ::io_uring_queue_exit(&ring); }
  bool supports(io_uring& ring, int operation) noexcept override {
    io_uring_probe* probe = ::io_uring_get_probe_ring(&ring);
    const bool supported = probe != nullptr && ::io_uring_opcode_supported(probe, operation) != 0;
    if (probe != nullptr) ::io_uring_free_probe(probe);
    return supported;
  }
  int register_buffers(io_uring& ring, io_uring_buf_reg& request) noexcept override {
    return ::io_uring_register_buf_ring(&ring, &request, 0);
  }

  int poll(io_uring& ring) noexcept override { return ::io_uring_submit_and_get_events(&ring); }
  int wait(io_uring& ring, Duration timeout) noexcept override {
    if (timeout == Duration::max()) return ::io_uring_submit_and_wait(&ring, 1);
    __kernel_timespec time{};
    time.tv_sec = timeout.count() / 1'000'000'000;
    time.tv_nsec = timeout.count() % 1'000'000'000;
    io_uring_cqe* first = nullptr;
    return ::io_uring_submit_and_wait_timeout(&ring, &first, 1, &time, nullptr);
  }

  ssize_t send_now(int fd, const msghdr& message) noexcept override {
    const ssize_t sent = ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent >= 0 ? sent : -errno;
  }

  int send_datagrams(int fd, mmsghdr* messages, unsigned count) noexcept override {
    const int sent = ::sendmmsg(fd, messages, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent >= 0 ? sent : -errno;
  }

  void close(int fd) noexcept override { ::close(fd); }
  void close_with_reset(int fd) noexcept override {
    const linger now{1, 0};
    (void)::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now,
                       sizeof now);  // means nothing to other files
    ::close(fd);
  }
  int shutdown_write(int fd) noexcept override { return ::shutdown(fd, SHUT_WR) == 0 ? 0 : errno; }
  Address local_address(int fd) noexcept override { return real::local_address(fd); }
  Address peer_address(int fd) noexcept override { return real::peer_address(fd); }
};

}  // namespace

Kernel& Kernel::native() noexcept {
  static LinuxKernel kernel;  // without state
  return kernel;
}

}  // namespace twinwire::real
