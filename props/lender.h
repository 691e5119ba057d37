// SPDX-License-Identifier: Apache-2.0
// Lends bytes as a network does: whoever reads them after they were given back reads garbage, and what is still out is
// counted.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include "transport/wire/block.h"

namespace twinwire::props {

struct Lender final : BlockOwner {
  // `capacity`: of the memory behind it; at least the bytes' own size.
  Slice lend(std::span<const std::byte> bytes, std::size_t capacity = 0) {
    capacity = std::max(capacity, bytes.size());
    auto* block = new Block{this, new std::byte[capacity], capacity, 1, 0};
    std::memcpy(block->data, bytes.data(), bytes.size());
    ++out;
    return {block, block->data, bytes.size()};
  }
  void reclaim(Block* block) noexcept override {
    std::memset(block->data, 0xdd, block->capacity);
    delete[] block->data;  // AddressSanitizer watches it from here on
    delete block;
    --out;
  }
  bool share(Block*) noexcept override { return shares; }
  int out = 0;
  bool shares = false;  // small frames may stay where they lie
};

}  // namespace twinwire::props
