// SPDX-License-Identifier: Apache-2.0
#include "sim/run_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace twinwire::sim {

std::uint64_t digest(std::span<const std::byte> bytes) noexcept {
  return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace twinwire::sim
