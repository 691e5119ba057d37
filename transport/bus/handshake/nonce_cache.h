// SPDX-License-Identifier: Apache-2.0
// NonceCache: which handshakes an acceptor has finished, so that the first message of one is not answered again.
//
// Solves two problems: a cache that is filled by whoever likes is a way to keep honest peers out, and one that forgets
// early lets old messages pass. So only dialers that have proven to be live are recorded, each in places of its own;
// where one's are full, its oldest is forgotten and whatever is not younger counts as seen from then on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "transport/base/time.h"

namespace twinwire::bus {

using HandshakeNonce = std::array<std::byte, 16>;

class NonceCache {
 public:
  static constexpr std::size_t dialers = 256;

  // Memory     All of it here: dialers * per_dialer * 24 bytes. Nothing is allocated afterwards.
  // Requires   per_dialer >= 1
  explicit NonceCache(std::size_t per_dialer = 16);

  // Whether this nonce was recorded, or is from before what is remembered. `made_ns`: the message's own time.
  // `now_ns`: where this side's clock was set back, what is remembered from ahead of it keeps nobody out.
  bool seen(std::uint8_t dialer, const HandshakeNonce& nonce, std::int64_t made_ns,
            std::int64_t now_ns, Duration window) const noexcept;

  // Remembers it until `now_ns` is more than `window` after `made_ns`: then the message is stale by itself.
  void record(std::uint8_t dialer, const HandshakeNonce& nonce, std::int64_t made_ns,
              std::int64_t now_ns, Duration window) noexcept;

  std::size_t size() const noexcept;
  std::size_t capacity() const noexcept { return dialers * per_dialer_; }

 private:
  struct Entry {
    HandshakeNonce nonce{};
    std::int64_t made_ns = unused;
  };
  static constexpr std::int64_t unused = std::numeric_limits<std::int64_t>::min();

  std::size_t per_dialer_;
  std::vector<Entry> entries_;
  std::array<std::int64_t, dialers> floor_;  // of each dialer: what is not younger counts as seen
};

}  // namespace twinwire::bus
