// SPDX-License-Identifier: Apache-2.0
// Writing until the stream below has taken the last byte: what a short write left is resumed where it stopped.
#pragma once

#include <sys/uio.h>

#include <span>

#include "transport/net/byte_stream.h"

namespace twinwire::ws {

// Moves past the first `written` bytes: pieces that are done go, the one that was cut is shortened from its front.
std::span<iovec> advance(std::span<iovec> pieces, std::size_t written) noexcept;

// Errors     those of ByteStream::write; some bytes may have been taken
Result<void> write_all(ByteStream& stream, std::span<iovec> pieces, Deadline deadline);

}  // namespace twinwire::ws
