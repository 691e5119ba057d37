// SPDX-License-Identifier: Apache-2.0
#include "transport/bus/owner_table.h"

#include "transport/base/plant.h"

namespace twinwire::bus {

OwnerClaim OwnerTable::claim(ReplicaId id, std::uint16_t shard) noexcept {
  const OwnerClaim mine(shard, tokens_.fetch_add(1, std::memory_order_relaxed) + 1);
  if (PLANT(bus_claim_overwrites)) {
    places_[id].store(mine.word());
    return mine;
  }
  std::uint64_t free = 0;
  return places_[id].compare_exchange_strong(free, mine.word(), std::memory_order_acq_rel)
             ? mine
             : OwnerClaim();
}

bool OwnerTable::release(ReplicaId id, OwnerClaim claim) noexcept {
  if (!claim) return false;
  if (PLANT(bus_release_unchecked)) {
    places_[id].store(0);
    return true;
  }
  std::uint64_t mine = claim.word();
  return places_[id].compare_exchange_strong(mine, 0, std::memory_order_acq_rel);
}

}  // namespace twinwire::bus
