// SPDX-License-Identifier: Apache-2.0
// Progress: what the two sides of each connection have written and read, as one runner of a script keeps the books.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "props/oracle/outcome.h"
#include "props/oracle/script.h"

namespace twinwire::oracle {

class Progress {
 public:
  // The next `size` bytes that this side writes.
  std::vector<std::byte> next(std::size_t connection, unsigned side, std::size_t size) const {
    std::vector<std::byte> bytes(size);
    const std::uint64_t from = written_[connection][side];
    for (std::size_t i = 0; i < size; ++i) bytes[i] = byte_of(connection, side, from + i);
    return bytes;
  }
  void wrote(std::size_t connection, unsigned side, std::size_t n) {
    written_[connection][side] += n;
  }

  // `side` read these: whether they are what the peer wrote there.
  bool took(std::size_t connection, unsigned side, std::span<const std::byte> bytes) {
    std::uint64_t& at = read_[connection][side];
    bool intact = at + bytes.size() <= written_[connection][1 - side];
    for (const std::byte byte : bytes) intact &= byte == byte_of(connection, 1 - side, at++);
    return intact;
  }
  // Whether `side` has read all that its peer's kernel took.
  bool complete(std::size_t connection, unsigned side) const {
    return read_[connection][side] == written_[connection][1 - side];
  }

 private:
  std::array<std::array<std::uint64_t, 2>, connections_max> written_{};
  std::array<std::array<std::uint64_t, 2>, connections_max> read_{};
};

}  // namespace twinwire::oracle
