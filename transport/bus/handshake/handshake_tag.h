// SPDX-License-Identifier: Apache-2.0
// The tag of a message: HMAC-SHA-256 over all that it says, who says it, and the channel that it came over.
#pragma once

#include <span>

#include "transport/bus/handshake/handshake_frame.h"

namespace twinwire::bus {

// A channel binding, and what of it is shown. Empty: a channel that does not encrypt.
class BoundChannel {
 public:
  // Requires   at most 64 bytes. Checked; a violation aborts.
  explicit BoundChannel(std::span<const std::byte> binding) noexcept;
  std::span<const std::byte> binding() const noexcept { return {bytes_.data(), size_}; }
  const ChannelMark& mark() const noexcept { return mark_; }

 private:
  std::array<std::byte, HandshakeOptions::binding_max> bytes_{};
  std::size_t size_ = 0;
  ChannelMark mark_{};
};

// The tag of `fields`, whatever tag they have.
HandshakeTag tag_of(const HandshakeKey& key, const HandshakeFields& fields,
                    const BoundChannel& channel) noexcept;

// Whether they have the right one; in a time that does not depend on where it differs.
bool tag_matches(const HandshakeKey& key, const HandshakeFields& fields,
                 const BoundChannel& channel) noexcept;

}  // namespace twinwire::bus
