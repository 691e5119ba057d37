// SPDX-License-Identifier: Apache-2.0
// What transport/net/network.h lets a caller ask of a socket, as setsockopt(2).
//
// Buffer sizes and TCP_NODELAY never fail on a TCP socket; whatever else cannot be set is an error.
#pragma once

#include <cstddef>

#include "transport/net/network.h"

namespace twinwire::real {

// `unsupported` with errno, which setsockopt(2) has just set.
Error option_error() noexcept;

// The sizes count before the connection exists: the window scale is settled in the handshake.
void set_buffers(int fd, std::size_t send_buffer, std::size_t receive_buffer) noexcept;

// Everything in `options` but `local`, on a TCP socket that is not connected yet.
// Errors     unsupported: ENOENT (no such congestion control) · ENODEV (no such device) · EPERM (it takes CAP_NET_RAW,
//            or CAP_NET_ADMIN for a congestion control) · EINVAL (a time or a number out of bounds)
Result<void> set_stream_options(int fd, const StreamOptions& options) noexcept;

// nullptr or "": any device. Errors as above.
Result<void> bind_to_device(int fd, const char* device) noexcept;

// On or off, so that the kernel's default does not matter; nothing where `address` is of IPv4. Before bind(2).
Result<void> set_v6_only(int fd, const Address& address, bool v6_only) noexcept;

}  // namespace twinwire::real
