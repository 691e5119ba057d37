// SPDX-License-Identifier: Apache-2.0
// The system calls of this process, counted where they pass through libc: an executable's own functions take the place
// of libc's for the libraries that it is linked with, too. What io_uring does passes by: its peer counts by hand.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <csignal>

#include "props/peers/real/side.h"

namespace twinwire::peers {
namespace {

// ZeroMQ has threads of its own. They share one processor, or nearly: an atomic costs little beside a system call.
std::atomic<std::uint64_t> calls_made{0};

template <class... Arguments>
long counted(long number, Arguments... arguments) noexcept {
  count_system_call();
  return ::syscall(number, arguments...);
}

}  // namespace

void count_system_call() noexcept { calls_made.fetch_add(1, std::memory_order_relaxed); }
std::uint64_t system_calls() noexcept { return calls_made.load(std::memory_order_relaxed); }

}  // namespace twinwire::peers

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)
extern "C" {

using twinwire::peers::counted;

ssize_t read(int fd, void* to, size_t size) { return counted(SYS_read, fd, to, size); }
ssize_t write(int fd, const void* from, size_t size) { return counted(SYS_write, fd, from, size); }
ssize_t readv(int fd, const iovec* to, int count) { return counted(SYS_readv, fd, to, count); }
ssize_t writev(int fd, const iovec* from, int count) {
  return counted(SYS_writev, fd, from, count);
}
ssize_t recv(int fd, void* to, size_t size, int flags) {
  return counted(SYS_recvfrom, fd, to, size, flags, nullptr, nullptr);
}
ssize_t send(int fd, const void* from, size_t size, int flags) {
  return counted(SYS_sendto, fd, from, size, flags, nullptr, 0);
}
ssize_t recvmsg(int fd, msghdr* message, int flags) {
  return counted(SYS_recvmsg, fd, message, flags);
}
ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  return counted(SYS_sendmsg, fd, message, flags);
}
int epoll_wait(int fd, epoll_event* events, int count, int timeout) {
  return static_cast<int>(counted(SYS_epoll_wait, fd, events, count, timeout));
}
int epoll_pwait(int fd, epoll_event* events, int count, int timeout, const sigset_t* mask) {
  return static_cast<int>(counted(SYS_epoll_pwait, fd, events, count, timeout, mask, _NSIG / 8));
}
int epoll_ctl(int fd, int what, int of, epoll_event* event) {
  return static_cast<int>(counted(SYS_epoll_ctl, fd, what, of, event));
}
int poll(pollfd* of, nfds_t count, int timeout) {
  return static_cast<int>(counted(SYS_poll, of, count, timeout));
}
int timerfd_settime(int fd, int flags, const itimerspec* at, itimerspec* before) {
  return static_cast<int>(counted(SYS_timerfd_settime, fd, flags, at, before));
}

// A library that chooses its sockets' options itself gets the congestion control that all others have.
int socket(int family, int type, int protocol) {
  const long fd = ::syscall(SYS_socket, family, type, protocol);
  if (fd >= 0 && family == AF_INET && (type & SOCK_STREAM) != 0)
    (void)::setsockopt(static_cast<int>(fd), IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
  return static_cast<int>(fd);
}

}  // extern "C"
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
