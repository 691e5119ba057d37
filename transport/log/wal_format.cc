// SPDX-License-Identifier: Apache-2.0
#include "transport/log/wal_format.h"

#include <algorithm>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace twinwire::log {
namespace {

constexpr char magic[8] = {'t', 'w', 'i', 'n', 'l', 'o', 'g', '\n'};
constexpr std::size_t salt_at = 32;
constexpr std::size_t checksum_at = wal_head_size - 8;

std::uint64_t mark_sum(std::uint64_t salt, Op batch, std::uint64_t at) noexcept {
  std::array<std::byte, 16> covered{};
  store(covered.data(), batch);
  store(covered.data() + 8, at);
  return XXH3_64bits_withSeed(covered.data(), covered.size(), salt);
}

}  // namespace

WalHeadBytes bytes_of(const WalHead& head) noexcept {
  WalHeadBytes bytes{};
  std::memcpy(bytes.data(), magic, sizeof magic);
  store(bytes.data() + 8, head.version);
  store(bytes.data() + 16, head.cluster);
  store(bytes.data() + salt_at, head.salt);
  store(bytes.data() + checksum_at, XXH3_64bits(bytes.data(), checksum_at));
  return bytes;
}

bool has_magic(const WalHeadBytes& bytes) noexcept {
  return std::memcmp(bytes.data(), magic, sizeof magic) == 0;
}

bool is_torn_head(std::span<const std::byte> bytes, const U128& cluster) noexcept {
  const WalHeadBytes whole = bytes_of({1, cluster, 0});
  const auto may_be_anything = [](std::size_t at) {
    return (at >= salt_at && at < salt_at + 8) || at >= checksum_at;
  };
  for (std::size_t at = 0; at < bytes.size(); ++at)
    if (bytes[at] != std::byte{} && bytes[at] != whole[at] && !may_be_anything(at)) return false;
  return true;
}

std::optional<WalHead> wal_head_of(const WalHeadBytes& bytes) noexcept {
  if (!has_magic(bytes) ||
      load<std::uint64_t>(bytes.data() + checksum_at) != XXH3_64bits(bytes.data(), checksum_at))
    return std::nullopt;
  return WalHead{load<std::uint32_t>(bytes.data() + 8), load<U128>(bytes.data() + 16),
                 load<std::uint64_t>(bytes.data() + salt_at)};
}

WalMark wal_mark(std::uint64_t salt, Op batch, std::uint64_t at) noexcept {
  WalMark mark{};
  store(mark.data(), batch);
  store(mark.data() + 8, mark_sum(salt, batch, at));
  return mark;
}

std::optional<Op> batch_of_mark(std::uint64_t salt, std::span<const std::byte> mark,
                                std::uint64_t at) noexcept {
  const Op batch = load<Op>(mark.data());
  if (load<std::uint64_t>(mark.data() + 8) != mark_sum(salt, batch, at)) return std::nullopt;
  return batch;
}

}  // namespace twinwire::log
