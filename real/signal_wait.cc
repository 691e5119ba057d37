// SPDX-License-Identifier: Apache-2.0
#include "real/signal_wait.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

#include "real/ring.h"

namespace twinwire::real {

Result<SignalWait> SignalWait::create(Ring& ring, std::initializer_list<int> signals) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : signals) ::sigaddset(&set, signal);
  if (const int error = ::pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0)
    return from_errno(error);
  const int fd = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) return from_errno(errno);
  DescriptorRef file = ring.core().adopt(fd);
  if (!file) return Errc::no_resources;
  return SignalWait(std::move(file));
}

Result<int> SignalWait::wait(Deadline deadline) {
  for (;;) {
    signalfd_siginfo info{};
    if (::read(file_->fd(), &info, sizeof info) == static_cast<ssize_t>(sizeof info))
      return static_cast<int>(info.ssi_signo);
    if (errno != EAGAIN && errno != EINTR) return from_errno(errno);
    io_uring_sqe request{};
    ::io_uring_prep_poll_add(&request, file_->fd(), POLLIN);
    const Completion completion = file_->perform(Direction::in, request, deadline, "a signal");
    if (completion.result < 0) return error_of(completion);
  }
}

}  // namespace twinwire::real
