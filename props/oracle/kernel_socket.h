// SPDX-License-Identifier: Apache-2.0
// KernelSocket: a TCP socket by system calls that never block, as the byte seam says them.
//
// Three of the seam's promises are not the kernel's, and are made here:
//   - a failure is told again: the kernel tells it to one call, and later reads say the end (tcp_done());
//   - a stream that is destroyed before both ends is aborted, SO_LINGER 0;
//   - after abort() the object is still there, and says `broken`.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "props/oracle/outcome.h"
#include "transport/net/address.h"

namespace twinwire::oracle {

class KernelSocket {
 public:
  KernelSocket(bool ipv6, std::uint32_t send_buffer, std::uint32_t receive_buffer);
  KernelSocket(KernelSocket&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        end_read_(other.end_read_),
        shut_(other.shut_),
        aborted_(other.aborted_),
        failure_(other.failure_) {}
  KernelSocket& operator=(KernelSocket&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(end_read_, other.end_read_);
    std::swap(shut_, other.shut_);
    std::swap(aborted_, other.aborted_);
    std::swap(failure_, other.failure_);
    return *this;
  }
  ~KernelSocket();

  // These return an errno, 0 on success.
  int listen(const Address& address, int backlog);
  int connect(const Address& to);   // EINPROGRESS: ask connected()
  int connected(int milliseconds);  // EINPROGRESS: still not

  std::optional<KernelSocket> accept(Address& peer);  // none: errno tells
  Address local() const;
  bool readable() const;

  // `timed_out`: it would block.
  Result<std::size_t> write(std::span<const iovec> pieces);
  Result<std::size_t> read(std::span<std::byte> into);
  Outcome end();
  void abort();
  // What destroying the stream comes to. `plainly`: where the kernel's own close() must reset, since bytes are unread,
  // nothing is asked of it beforehand.
  void close(bool plainly);

 private:
  explicit KernelSocket(int fd) : fd_(fd) {}
  void close_with_reset();

  int fd_;
  bool end_read_ = false;
  bool shut_ = false;
  bool aborted_ = false;
  int failure_ = 0;  // the errno that a call was told
};

}  // namespace twinwire::oracle
