// SPDX-License-Identifier: Apache-2.0
// Writing until a stream has taken the last byte: what a short write left is resumed where it stopped.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>

#include "transport/net/byte_stream.h"

namespace twinwire {

// Moves past the first `written` bytes: pieces that are done go, the one that was cut is shortened from its front.
std::span<iovec> advance(std::span<iovec> pieces, std::size_t written) noexcept;

// Writes every byte of `pieces`, which is used up. The bytes are borrowed until it returns.
// Errors     those of ByteStream::write; some bytes may have been taken
Result<void> write_all(ByteStream& stream, std::span<iovec> pieces, Deadline deadline);

}  // namespace twinwire
