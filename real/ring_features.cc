// SPDX-License-Identifier: Apache-2.0
#include "real/ring_features.h"

#include <liburing.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace twinwire::real {
namespace {

constexpr std::size_t buffer_ring_bytes = 4096;
enum Name : std::uint64_t { accepting = 1, receiving };

class SmallRing {
 public:
  SmallRing() noexcept {
    io_uring_params params{};
    error_ = -::io_uring_queue_init_params(8, &ring_, &params);
    open_ = error_ == 0;
  }
  SmallRing(const SmallRing&) = delete;
  SmallRing& operator=(const SmallRing&) = delete;
  ~SmallRing() {
    if (open_) ::io_uring_queue_exit(&ring_);
  }
  bool open() const noexcept { return open_; }
  int error() const noexcept { return error_; }
  io_uring& raw() noexcept { return ring_; }

  // Hands `request` in. Its completions have that name.
  bool submit(io_uring_sqe request, std::uint64_t name) noexcept {
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
    if (entry == nullptr) return false;
    request.user_data = name;
    *entry = request;
    return ::io_uring_submit(&ring_) == 1;
  }
  // The next completion of that name; a negative result where there is none within a second.
  io_uring_cqe next(std::uint64_t name) noexcept {
    for (;;) {
      io_uring_cqe* first = nullptr;
      __kernel_timespec patience{1, 0};
      io_uring_cqe completion{};
      completion.res = -ETIME;
      if (::io_uring_wait_cqe_timeout(&ring_, &first, &patience) != 0) return completion;
      completion.user_data = first->user_data;
      completion.res = first->res;
      completion.flags = first->flags;
      ::io_uring_cqe_seen(&ring_, first);
      if (completion.user_data == name) return completion;
    }
  }

 private:
  io_uring ring_{};
  int error_ = 0;
  bool open_ = false;
};

struct Files {
  std::array<int, 3> fds{-1, -1, -1};
  ~Files() {
    for (const int fd : fds)
      if (fd >= 0) ::close(fd);
  }
};

bool no_descriptor_left(int error) noexcept { return error == EMFILE || error == ENFILE; }

Result<bool> accepts_many(SmallRing& ring) noexcept {
  Files files;
  auto& [listener, dialer, accepted] = files.fds;
  listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  dialer = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (dialer < 0 && no_descriptor_left(errno)) return from_errno(errno);
  // An address of a family alone: the kernel chooses an abstract name.
  sockaddr_storage address{};
  address.ss_family = AF_UNIX;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  socklen_t length = sizeof address;
  if (::bind(listener, any, sizeof(sa_family_t)) != 0 || ::listen(listener, 1) != 0 ||
      ::getsockname(listener, any, &length) != 0 || ::connect(dialer, any, length) != 0)
    return false;
  io_uring_sqe request{};
  ::io_uring_prep_multishot_accept(&request, listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (!ring.submit(request, accepting)) return false;
  const io_uring_cqe completion = ring.next(accepting);
  accepted = completion.res;
  if (no_descriptor_left(-completion.res)) return from_errno(-completion.res);
  return completion.res >= 0 && (completion.flags & IORING_CQE_F_MORE) != 0;
}

// With a ring of provided buffers in group 0.
Result<bool> receives_many(SmallRing& ring, io_uring_buf_ring* buffers) noexcept {
  std::array<char, 64> buffer;
  ::io_uring_buf_ring_init(buffers);
  ::io_uring_buf_ring_add(buffers, buffer.data(), buffer.size(), 0, 0, 0);
  ::io_uring_buf_ring_advance(buffers, 1);
  Files files;
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, files.fds.data()) != 0) {
    if (no_descriptor_left(errno)) return from_errno(errno);
    return false;
  }
  if (::send(files.fds[0], "x", 1, MSG_NOSIGNAL) != 1) return false;
  io_uring_sqe request{};
  ::io_uring_prep_recv_multishot(&request, files.fds[1], nullptr, 0, 0);
  request.flags |= IOSQE_BUFFER_SELECT;
  request.buf_group = 0;
  if (!ring.submit(request, receiving)) return false;
  io_uring_cqe completion = ring.next(receiving);
  const bool many = completion.res == 1 && (completion.flags & IORING_CQE_F_MORE) != 0;
  // What goes on may write into `buffer`: it ends with the stream.
  ::close(std::exchange(files.fds[0], -1));
  while ((completion.flags & IORING_CQE_F_MORE) != 0) completion = ring.next(receiving);
  return many;
}

}  // namespace

Result<RingFeatures> examine_ring() noexcept {
  RingFeatures features;
  SmallRing ring;
  if (!ring.open()) {
    if (no_descriptor_left(ring.error())) return from_errno(ring.error());
    return features;
  }
  if (io_uring_probe* probe = ::io_uring_get_probe_ring(&ring.raw())) {
    features.send_zero_copy = ::io_uring_opcode_supported(probe, IORING_OP_SENDMSG_ZC) != 0;
    features.ring_messages = ::io_uring_opcode_supported(probe, IORING_OP_MSG_RING) != 0;
    ::io_uring_free_probe(probe);
  }
  Result<bool> receives = false;
  void* memory = ::mmap(nullptr, buffer_ring_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory != MAP_FAILED) {
    io_uring_buf_reg request{};
    request.ring_addr = reinterpret_cast<std::uintptr_t>(memory);
    request.ring_entries = 1;
    request.bgid = 0;
    features.buffer_rings = ::io_uring_register_buf_ring(&ring.raw(), &request, 0) == 0;
    if (features.buffer_rings)
      receives = receives_many(ring, static_cast<io_uring_buf_ring*>(memory));
    if (features.buffer_rings) (void)::io_uring_unregister_buf_ring(&ring.raw(), 0);
    ::munmap(memory, buffer_ring_bytes);
  }
  const Result<bool> accepts = accepts_many(ring);
  if (!receives) return receives.error();
  if (!accepts) return accepts.error();
  features.multishot_receive = *receives;
  features.multishot_accept = *accepts;
  return features;
}

}  // namespace twinwire::real
