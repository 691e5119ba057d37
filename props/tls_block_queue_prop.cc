// SPDX-License-Identifier: Apache-2.0
// BlockQueue against a model: whatever goes in comes out, in order, and what was lent does not move.
// ctest: no_tsan
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <deque>
#include <vector>

#include "transport/tls/block_queue.h"

namespace twinwire {
namespace {

std::vector<std::byte> bytes_of(std::size_t size, std::uint64_t& next) {
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(next++ * 167 >> 3);
  return bytes;
}

RC_GTEST_PROP(tls_block_queue, gives_back_what_it_was_given, ()) {
  BufferPool pool;
  {
    BlockQueue queue(pool);
    std::deque<std::byte> model;
    std::uint64_t next = 0;
    const int steps = *rc::gen::inRange(1, 60);
    for (int i = 0; i < steps; ++i) {
      const auto size =
          *rc::gen::weightedOneOf<std::size_t>({{3, rc::gen::inRange<std::size_t>(0, 700)},
                                                {1, rc::gen::inRange<std::size_t>(0, 90'000)}});
      switch (*rc::gen::inRange(0, 5)) {
        case 0: {
          const auto bytes = bytes_of(size, next);
          RC_ASSERT(queue.append(bytes).has_value());
          model.insert(model.end(), bytes.begin(), bytes.end());
          break;
        }
        case 1: {
          const auto space = queue.space(size);
          RC_ASSERT(!space.empty());
          const auto bytes = bytes_of(std::min(size, space.size()), next);
          std::copy(bytes.begin(), bytes.end(), space.begin());
          queue.commit(bytes.size());
          model.insert(model.end(), bytes.begin(), bytes.end());
          break;
        }
        case 2: {
          const std::size_t n = std::min(size, queue.size());
          queue.drop_front(n);
          model.erase(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(n));
          break;
        }
        case 3: {
          const Slice front = queue.take_front();
          RC_ASSERT(front.empty() == model.empty());
          for (const std::byte byte : front.bytes()) {
            RC_ASSERT(byte == model.front());
            model.pop_front();
          }
          break;
        }
        case 4: {
          std::array<iovec, 8> pieces;
          const std::size_t count = queue.gather(pieces);
          std::vector<std::byte> lent;
          for (std::size_t p = 0; p < count; ++p) {
            const auto* at = static_cast<const std::byte*>(pieces[p].iov_base);
            lent.insert(lent.end(), at, at + pieces[p].iov_len);
          }
          RC_ASSERT(std::equal(lent.begin(), lent.end(), model.begin()));
          // More is appended while it is lent.
          const auto more = bytes_of(size, next);
          RC_ASSERT(queue.append(more).has_value());
          std::size_t seen = 0;
          for (std::size_t p = 0; p < count; ++p) {
            const auto* at = static_cast<const std::byte*>(pieces[p].iov_base);
            RC_ASSERT(std::equal(at, at + pieces[p].iov_len,
                                 lent.begin() + static_cast<std::ptrdiff_t>(seen)));
            seen += pieces[p].iov_len;
          }
          model.insert(model.end(), more.begin(), more.end());
          break;
        }
      }
      RC_ASSERT(queue.size() == model.size());
    }
  }
  RC_ASSERT(pool.blocks_in_use() == 0U);
}

TEST(tls_block_queue, an_append_that_finds_no_memory_changes_nothing) {
  BufferPool pool(64 * 1024);
  BlockQueue queue(pool);
  ASSERT_TRUE(queue.append(std::vector<std::byte>(1000)));
  EXPECT_FALSE(queue.append(std::vector<std::byte>(100'000)));
  EXPECT_EQ(queue.size(), 1000U);
  EXPECT_TRUE(queue.append(std::vector<std::byte>(10'000)));
  EXPECT_EQ(queue.size(), 11'000U);
}

}  // namespace
}  // namespace twinwire
