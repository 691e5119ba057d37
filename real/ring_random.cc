// SPDX-License-Identifier: Apache-2.0
#include "real/ring_random.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "transport/base/check.h"

namespace twinwire::real {
namespace {

void from_kernel(std::byte* out, std::size_t size) noexcept {
  while (size > 0) {
    const ssize_t n = ::getrandom(out, size, 0);
    TWINWIRE_CHECK(n > 0 || errno == EINTR, "the kernel gave no random bytes");
    if (n <= 0) continue;
    out += n;
    size -= static_cast<std::size_t>(n);
  }
}

}  // namespace

void RingRandom::fill(std::span<std::byte> out) noexcept {
  if (out.size() >= buffer_.size()) {
    from_kernel(out.data(), out.size());
    return;
  }
  while (!out.empty()) {
    if (used_ == buffer_.size()) {
      from_kernel(buffer_.data(), buffer_.size());
      used_ = 0;
    }
    const std::size_t n = std::min(out.size(), buffer_.size() - used_);
    std::memcpy(out.data(), buffer_.data() + used_, n);
    std::memset(buffer_.data() + used_, 0,
                n);  // a key drawn from here must not be found here later
    used_ += n;
    out = out.subspan(n);
  }
}

std::uint64_t RingRandom::next() noexcept {
  std::uint64_t value = 0;
  fill(std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

}  // namespace twinwire::real
