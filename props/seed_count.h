// SPDX-License-Identifier: Apache-2.0
// How many seeds of many this build runs: a sanitizer makes each several times dearer, and what it looks for shows in a
// few.
#pragma once

#include <algorithm>
#include <cstdint>

#include "transport/base/sanitizers.h"

namespace twinwire::props {

#if defined(TWINWIRE_TSAN)
inline constexpr std::uint64_t sanitizer_share = 40;
#elif defined(TWINWIRE_ASAN)
inline constexpr std::uint64_t sanitizer_share = 4;
#else
inline constexpr std::uint64_t sanitizer_share = 1;
#endif

// A share of `seeds`, and not less than `least`.
constexpr std::uint64_t seed_count(std::uint64_t seeds, std::uint64_t least) {
  return std::max(std::min(seeds, least), seeds / sanitizer_share);
}

}  // namespace twinwire::props
