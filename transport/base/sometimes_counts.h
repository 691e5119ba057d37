// SPDX-License-Identifier: Apache-2.0
// How often each of the states of sometimes.h was reached. Apart from their list, so that what only counts need not be
// compiled anew for each state that is added.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace twinwire {

enum class Sometimes : std::uint8_t;

inline constexpr std::size_t sometimes_max = 96;
using SometimesCounts = std::array<std::uint32_t, sometimes_max>;

}  // namespace twinwire
