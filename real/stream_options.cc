// SPDX-License-Identifier: Apache-2.0
#include "real/stream_options.h"

#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "real/socket_option.h"

namespace twinwire::real {
namespace {

// In `unit`s, rounded up: less than was asked for would be another option. What is too much the kernel refuses.
int rounded_up(Duration d, Duration unit) noexcept {
  const auto units = d.count() / unit.count() + (d.count() % unit.count() > 0 ? 1 : 0);
  return static_cast<int>(std::clamp<decltype(units)>(units, INT_MIN, INT_MAX));
}

Result<void> set_keepalive(int fd, const StreamOptions& options) noexcept {
  if (options.keepalive_idle == Duration::zero()) return {};
  const auto seconds = [](Duration d) { return rounded_up(d, std::chrono::seconds(1)); };
  const bool interval = options.keepalive_interval != Duration::zero();
  const bool all = set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) &&
                   set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds(options.keepalive_idle)) &&
                   (!interval || set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL,
                                            seconds(options.keepalive_interval))) &&
                   (options.keepalive_probes == 0 ||
                    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, options.keepalive_probes));
  if (!all) return option_error();
  return {};
}

Result<void> set_congestion(int fd, const char* name) noexcept {
  if (name == nullptr) return {};
  const auto length = static_cast<socklen_t>(std::strlen(name));
  if (::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, length) != 0) return option_error();
  return {};
}

}  // namespace

Error option_error() noexcept { return {Errc::unsupported, errno}; }

void set_buffers(int fd, std::size_t send_buffer, std::size_t receive_buffer) noexcept {
  const auto bytes = [](std::size_t size) {
    return static_cast<int>(std::min<std::size_t>(size, INT_MAX / 2));
  };
  if (send_buffer != 0) (void)set_option(fd, SOL_SOCKET, SO_SNDBUF, bytes(send_buffer));
  if (receive_buffer != 0) (void)set_option(fd, SOL_SOCKET, SO_RCVBUF, bytes(receive_buffer));
}

Result<void> bind_to_device(int fd, const char* device) noexcept {
  if (device == nullptr || *device == '\0') return {};
  const auto length = static_cast<socklen_t>(std::strlen(device));
  // The kernel would take the beginning of a name that is too long, which may be another device's.
  if (length >= IFNAMSIZ) return Error{Errc::unsupported, ENODEV};
  if (::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, length) != 0) return option_error();
  return {};
}

Result<void> set_v6_only(int fd, const Address& address, bool v6_only) noexcept {
  if (address.is_v4()) return {};
  if (!set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6_only ? 1 : 0)) return option_error();
  return {};
}

Result<void> set_stream_options(int fd, const StreamOptions& options) noexcept {
  set_buffers(fd, options.send_buffer, options.receive_buffer);
  if (options.no_delay) (void)set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (auto set = set_congestion(fd, options.congestion); !set) return set;
  if (auto set = set_keepalive(fd, options); !set) return set;
  if (auto set = bind_to_device(fd, options.device); !set) return set;
  if (options.user_timeout == Duration::zero()) return {};
  const int timeout = rounded_up(options.user_timeout, std::chrono::milliseconds(1));
  if (!set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, timeout)) return option_error();
  return {};
}

}  // namespace twinwire::real
