// SPDX-License-Identifier: Apache-2.0
// Rejection: why a handshake between replicas was refused; and how often each reason occurred.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace twinwire::bus {

// In the order in which they are looked for. The numbers are on the wire (a refusal has a reason): never change one.
enum class Rejection : std::uint8_t {
  none = 0,
  // --- Format: nothing was computed yet ------------------------------------------------------------------------------
  bad_format = 1,      // no frame of a handshake, or a field that none may have
  wrong_version = 2,   // another version of the handshake
  unknown_kind = 3,    // of a message
  reserved_bytes = 4,  // bytes that must be zero are not
  reflection = 5,      // what this side, or one of its id, says itself
  unexpected = 6,      // a message of the peer's, but not the one that is next
  wrong_cluster = 7,
  wrong_plane = 8,
  wrong_id = 9,        // meant for another replica, or from another than was dialed
  wrong_channel = 10,  // over another channel: somebody stands between
  // --- Tag -----------------------------------------------------------------------------------------------------------
  bad_tag = 11,      // made without a key of ours, or changed on its way
  expired_key = 12,  // made with a key of ours whose time is over
  // --- Freshness, then nonces: from here on it was said by who has a key ---------------------------------------------
  stale = 13,   // the two clocks are further apart than the window, or it took so long
  replay = 14,  // of another handshake
  // --- And at the end ------------------------------------------------------------------------------------------------
  not_admitted = 15,     // a replica that may not dial this one
  refused_by_peer = 16,  // the peer knows us, and told us that it will not have us
  no_key = 17,           // this side has no key whose time is not over
};
inline constexpr std::size_t rejection_count = 18;

std::string_view name(Rejection reason) noexcept;         // "wrong_cluster"
std::string_view description(Rejection reason) noexcept;  // one sentence for a person

// A handshake counts at most once: for what came first. One that the network ended counts nowhere.
struct HandshakeCounters {
  std::uint64_t verified = 0;
  std::array<std::uint64_t, rejection_count> rejected{};

  std::uint64_t& operator[](Rejection reason) noexcept {
    return rejected[static_cast<std::size_t>(reason)];
  }
  std::uint64_t operator[](Rejection reason) const noexcept {
    return rejected[static_cast<std::size_t>(reason)];
  }
  std::uint64_t rejected_in_all() const noexcept {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : rejected) sum += count;
    return sum;
  }
};

}  // namespace twinwire::bus
