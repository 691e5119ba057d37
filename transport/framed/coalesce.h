// SPDX-License-Identifier: Apache-2.0
// Coalescing: the small messages of a batch are copied side by side, so that the network gets few pieces instead of one
// a message. Large ones are written from where they lie, in their place between the others. Private to
// transport/framed/; when to ask for it: docs/coalescing.md.
#pragma once

#include <cstddef>

#include "transport/net/byte_stream.h"
#include "transport/wire/batch.h"
#include "transport/wire/buffer_pool.h"

namespace twinwire {

// Bytes that are copied before they are written. More of them make another write, into the same memory.
inline constexpr std::size_t coalesced_bytes_max = std::size_t{124} << 10;

// Writes every message of `batch`, in order. Two or more neighbours that are smaller than `below` are copied.
//
// Memory     One block of the pool while it lasts, of 128 KiB at most; none where there is nothing to copy. Where the
//            pool has none, it copies nothing.
// Errors     those of ByteStream::write; some bytes may have been taken
Result<void> write_coalesced(ByteStream& stream, BufferPool& pool, const Batch& batch,
                             std::size_t below, Deadline deadline);

}  // namespace twinwire
