// SPDX-License-Identifier: Apache-2.0
// Nonces by example: all of one is drawn; and their cache is bounded, and nobody but a dialer itself loses by what it
// does.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <algorithm>

#include "props/bus/handshake_rig.h"
#include "transport/bus/handshake/handshake.h"

namespace twinwire::bus::handshake_test {
namespace {

constexpr Duration window = std::chrono::seconds(30);

TEST(NonceCache, what_was_recorded_is_seen_until_it_is_stale_by_itself) {
  NonceCache cache(2);
  EXPECT_FALSE(cache.seen(1, nonce_of(1), start_ns, start_ns, window));
  cache.record(1, nonce_of(1), start_ns, start_ns, window);
  EXPECT_TRUE(cache.seen(1, nonce_of(1), start_ns, start_ns, window));
  EXPECT_FALSE(cache.seen(2, nonce_of(1), start_ns, start_ns, window));
  EXPECT_FALSE(cache.seen(1, nonce_of(2), start_ns, start_ns, window));
  const std::int64_t later = start_ns + 31 * second_ns;
  cache.record(1, nonce_of(2), later, later, window);
  EXPECT_EQ(cache.size(), 1u);
  EXPECT_FALSE(cache.seen(1, nonce_of(1), later, later, window));
}

TEST(NonceCache, at_its_bound_what_is_older_than_what_was_forgotten_counts_as_seen) {
  NonceCache cache(2);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const std::int64_t made = start_ns + static_cast<std::int64_t>(i);
    EXPECT_FALSE(cache.seen(9, nonce_of(i), made, made, window)) << i;
    cache.record(9, nonce_of(i), made, made, window);
    EXPECT_LE(cache.size(), 2u);
  }
  for (std::uint64_t i = 0; i < 1000; ++i)
    EXPECT_TRUE(
        cache.seen(9, nonce_of(i), start_ns + static_cast<std::int64_t>(i), start_ns, window));
  // And nobody else is touched.
  EXPECT_FALSE(cache.seen(8, nonce_of(5000), start_ns, start_ns, window));
}

TEST(NonceCache, messages_out_of_order_are_remembered_or_count_as_seen) {
  NonceCache cache(4);
  const auto made = [](std::uint64_t i) {
    return start_ns + static_cast<std::int64_t>(i * 7919 % 1000);
  };
  for (std::uint64_t i = 0; i < 200; ++i) {
    cache.record(0, nonce_of(i), made(i), start_ns + 1000, window);
    for (std::uint64_t j = 0; j <= i; ++j)
      ASSERT_TRUE(cache.seen(0, nonce_of(j), made(j), start_ns + 1000, window)) << i << " " << j;
  }
  EXPECT_EQ(cache.size(), 4u);
}

TEST(NonceCache, a_clock_that_was_set_back_keeps_nobody_out) {
  NonceCache cache(1);
  const std::int64_t ahead = start_ns + 3600 * second_ns;
  cache.record(1, nonce_of(1), ahead, ahead, window);
  cache.record(1, nonce_of(2), ahead + 1, ahead, window);
  EXPECT_TRUE(cache.seen(1, nonce_of(3), ahead, ahead, window));
  EXPECT_FALSE(cache.seen(1, nonce_of(3), start_ns, start_ns, window));
}

TEST(HandshakeNonces, each_byte_of_a_nonce_is_drawn) {
  class Filled final : public Random {
   public:
    void fill(std::span<std::byte> out) noexcept override {
      for (std::byte& byte : out) byte = static_cast<std::byte>(++drawn);
    }
    std::uint64_t next() noexcept override { return ++drawn; }
    std::uint8_t drawn = 0;
  } random;
  for (int i = 0; i < 2; ++i) {
    HandshakeNonce nonce = draw_nonce(random);
    std::ranges::sort(nonce);
    EXPECT_NE(nonce.front(), std::byte{0});
    EXPECT_TRUE(std::ranges::adjacent_find(nonce) == nonce.end());
  }
  EXPECT_GE(random.drawn, 32);
}

TEST(NonceCacheDeathTest, no_place_at_all_is_a_bug) { EXPECT_DEATH(NonceCache(0), "no place"); }

}  // namespace
}  // namespace twinwire::bus::handshake_test
