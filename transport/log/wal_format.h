// SPDX-License-Identifier: Apache-2.0
// The bytes of a log's file beside the entries' frames: its head, and the mark in front of each record.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "transport/log/entry.h"

namespace twinwire::log {

inline constexpr std::size_t wal_head_size = 64;
inline constexpr std::size_t wal_mark_size = 16;
inline constexpr std::size_t wal_alignment = 16;

constexpr std::uint64_t wal_record_size(std::uint64_t frame) noexcept {
  return (wal_mark_size + frame + wal_alignment - 1) / wal_alignment * wal_alignment;
}

// magic (8) · version (4) · zero (4) · cluster (16) · salt (8) · zero (16) · checksum (8) of all before it.
struct WalHead {
  std::uint32_t version = 1;
  U128 cluster;
  std::uint64_t salt = 0;
};
using WalHeadBytes = std::array<std::byte, wal_head_size>;
WalHeadBytes bytes_of(const WalHead& head) noexcept;
bool has_magic(const WalHeadBytes& bytes) noexcept;
// Whether a crash may have left that of the head of a log of that cluster: each byte is there, or zero. Of the salt and
// the checksum nobody can say what they were.
bool is_torn_head(std::span<const std::byte> bytes, const U128& cluster) noexcept;
// Nothing: damaged.
std::optional<WalHead> wal_head_of(const WalHeadBytes& bytes) noexcept;

// The op with which the batch began (8) · a checksum (8) of that and of where in the file the mark is, keyed with the
// salt: so that no bytes that a client sends look like one.
using WalMark = std::array<std::byte, wal_mark_size>;
WalMark wal_mark(std::uint64_t salt, Op batch, std::uint64_t at) noexcept;
// The op, or nothing where that is no mark.
std::optional<Op> batch_of_mark(std::uint64_t salt, std::span<const std::byte> mark,
                                std::uint64_t at) noexcept;

}  // namespace twinwire::log
