// SPDX-License-Identifier: Apache-2.0
// Sealing: XXH3-64 over header and body, zero-extended to 128 bits. Optional; catches flipped bits where nothing
// beneath does (plain TCP, WebSocket).
#pragma once

#include "transport/wire/message.h"

namespace twinwire {

// Fills both checksums of a frame that is otherwise finished: the body's first, since the header's covers it.
void seal(MutableMessage& message) noexcept;

// Whether both checksums match. `frame` holds one whole frame.
bool seal_matches(std::span<const std::byte> frame) noexcept;

}  // namespace twinwire
