// SPDX-License-Identifier: Apache-2.0
// MemoryStorage: bytes in memory, all of them there whatever happens: for tests that cut and break them by hand.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "transport/log/storage.h"

namespace twinwire::props {

class MemoryStorage final : public log::Storage {
 public:
  std::vector<std::byte> bytes;
  int cuts = 0;
  std::vector<std::uint64_t> settled_from;

  std::uint64_t size() const noexcept override { return bytes.size(); }
  Result<void> read(std::uint64_t at, std::span<std::byte> into) override {
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), into.size(), into.begin());
    return {};
  }
  Result<void> append(std::span<const std::span<const std::byte>> pieces) override {
    for (const auto piece : pieces) bytes.insert(bytes.end(), piece.begin(), piece.end());
    return {};
  }
  Result<void> sync() override { return {}; }
  Result<void> settle(std::uint64_t from) override {
    settled_from.push_back(from);
    return {};
  }
  Result<void> truncate(std::uint64_t size) override {
    bytes.resize(size);
    ++cuts;
    return {};
  }
};

}  // namespace twinwire::props
