// SPDX-License-Identifier: Apache-2.0
// OwnerTable: which shard of a node has a replica's connection. The one thing that all shards of a node share.
//
// A node has one connection to a replica, on whichever shard accepted or dialed it. Shards race for it: the first that
// claims the place has it, and only that very claim gives it back, so that a late release never frees a newer one.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "transport/bus/ids.h"

namespace twinwire::bus {

// A place in the owner table, and by whom it was taken: one for each connection. False: none.
class OwnerClaim {
 public:
  static constexpr std::uint64_t token_max = (std::uint64_t{1} << 40) - 1;

  constexpr OwnerClaim() noexcept = default;
  constexpr OwnerClaim(std::uint16_t shard, std::uint64_t token) noexcept
      : word_(taken | std::uint64_t{shard} << 40 | (token & token_max)) {}
  static constexpr OwnerClaim of_word(std::uint64_t word) noexcept {
    OwnerClaim claim;
    claim.word_ = word;
    return claim;
  }

  constexpr explicit operator bool() const noexcept { return word_ != 0; }
  constexpr std::uint16_t shard() const noexcept { return static_cast<std::uint16_t>(word_ >> 40); }
  constexpr std::uint64_t token() const noexcept { return word_ & token_max; }
  constexpr std::uint64_t word() const noexcept { return word_; }
  friend constexpr bool operator==(const OwnerClaim&, const OwnerClaim&) noexcept = default;

 private:
  static constexpr std::uint64_t taken = std::uint64_t{1} << 63;
  std::uint64_t word_ = 0;
};

// Each call is from any thread, waits for nobody, and is one atomic operation.
class OwnerTable {
 public:
  // Takes the place for that shard; none where it is taken.
  OwnerClaim claim(ReplicaId id, std::uint16_t shard) noexcept;
  // Gives it back. False, and nothing done, where it is another claim's by now, or free.
  bool release(ReplicaId id, OwnerClaim claim) noexcept;
  // Who has it now; it may be another one by the time that this returns.
  OwnerClaim owner(ReplicaId id) const noexcept {
    return OwnerClaim::of_word(places_[id].load(std::memory_order_acquire));
  }

 private:
  std::array<std::atomic<std::uint64_t>, replicas_max> places_{};
  std::atomic<std::uint64_t> tokens_{0};
};

}  // namespace twinwire::bus
