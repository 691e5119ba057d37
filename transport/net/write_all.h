// SPDX-License-Identifier: Apache-2.0
// Writing until a stream has taken the last byte: what a short write left is resumed where it stopped.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>
#include <utility>

#include "transport/net/byte_stream.h"

namespace twinwire {

// Moves past the first `written` bytes: pieces that are done go, the one that was cut is shortened from its front.
std::span<iovec> advance(std::span<iovec> pieces, std::size_t written) noexcept;

// Writes every byte of `pieces`, which is used up. The bytes are borrowed until it returns.
// Errors     those of ByteStream::write; some bytes may have been taken
Result<void> write_all(ByteStream& stream, std::span<iovec> pieces, Deadline deadline);

// Goes on after a first write of them, which came to `written`.
Result<void> write_rest(ByteStream& stream, std::span<iovec> pieces, Result<std::size_t> written,
                        Deadline deadline);

// write_all() for whoever knows how many bytes they are: `total`, more than none. Nothing is done after a write that
// took them all, and the frame of a fiber that waits in it is its caller's.
inline Result<void> write_all(ByteStream& stream, std::span<iovec> pieces, std::size_t total,
                              Deadline deadline) {
  auto written = stream.write(pieces, deadline);
  if (written && *written == total) [[likely]]
    return {};
  return write_rest(stream, pieces, std::move(written), deadline);
}

}  // namespace twinwire
