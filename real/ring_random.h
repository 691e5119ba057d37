// SPDX-License-Identifier: Apache-2.0
// RingRandom: getrandom(2), fetched in pieces that make the system call rare.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "transport/net/random.h"

namespace twinwire::real {

class RingRandom final : public Random {
 public:
  void fill(std::span<std::byte> out) noexcept override;
  std::uint64_t next() noexcept override;

 private:
  std::array<std::byte, 512> buffer_{};
  std::size_t used_ = sizeof buffer_;
};

}  // namespace twinwire::real
