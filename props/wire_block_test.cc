// SPDX-License-Identifier: Apache-2.0
// Slices count references; the pool hands out blocks by size class, within a limit, and takes them back.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "transport/wire/batch.h"
#include "transport/wire/block.h"
#include "transport/wire/buffer_pool.h"

namespace twinwire {
namespace {

struct CountingOwner final : BlockOwner {
  void reclaim(Block* block) noexcept override {
    EXPECT_EQ(block->references, 0u);
    ++reclaimed;
  }
  int reclaimed = 0;
};

struct SliceTest : ::testing::Test {
  CountingOwner owner;
  std::array<std::byte, 100> memory{};
  Block block{&owner, memory.data(), 1000, 1, 0};
  Slice whole{&block, memory.data(), memory.size()};
};

TEST_F(SliceTest, the_last_reference_sends_the_block_home_and_no_earlier_one) {
  Slice copy = whole;
  EXPECT_EQ(block.references, 2u);
  EXPECT_EQ(copy.data(), whole.data());
  Slice moved = std::move(copy);
  EXPECT_EQ(block.references, 2u);
  EXPECT_TRUE(copy.empty());
  EXPECT_EQ(copy.held(), 0u);
  whole.release();
  whole.release();
  EXPECT_EQ(owner.reclaimed, 0);
  moved = Slice();
  EXPECT_EQ(owner.reclaimed, 1);
}

TEST_F(SliceTest, assignment_drops_what_it_replaces_and_survives_itself) {
  CountingOwner other_owner;
  Block other{&other_owner, memory.data(), 10, 1, 0};
  Slice slice(&other, memory.data(), 10);
  slice = whole;
  EXPECT_EQ(other_owner.reclaimed, 1);
  EXPECT_EQ(block.references, 2u);
  Slice& same = slice;
  slice = same;
  EXPECT_EQ(block.references, 2u);
  EXPECT_EQ(slice.size(), 100u);
  slice = std::move(same);
  EXPECT_EQ(block.references, 2u);
  EXPECT_EQ(slice.size(), 100u);
}

TEST_F(SliceTest, take_front_cuts_and_shares) {
  Slice front = whole.take_front(30);
  EXPECT_EQ(block.references, 2u);
  EXPECT_EQ(front.size(), 30u);
  EXPECT_EQ(front.data(), memory.data());
  EXPECT_EQ(whole.size(), 70u);
  EXPECT_EQ(whole.data(), memory.data() + 30);
  EXPECT_EQ(front.held(), 1000u);
  const Slice none = whole.take_front(0);
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(whole.size(), 70u);
  const Slice rest = whole.take_front(70);
  EXPECT_TRUE(whole.empty());
  EXPECT_EQ(whole.held(), 0u) << "the last part takes the reference along";
  EXPECT_EQ(rest.size(), 70u);
}

TEST_F(SliceTest, drop_front_leaves_the_rest) {
  whole.drop_front(99);
  EXPECT_EQ(whole.size(), 1u);
  EXPECT_EQ(whole.data(), memory.data() + 99);
  whole.drop_front(1);
  EXPECT_TRUE(whole.empty());
  EXPECT_EQ(owner.reclaimed, 0) << "empty, but it still holds the block";
  whole.release();
  EXPECT_EQ(owner.reclaimed, 1);
}

TEST_F(SliceTest, more_than_there_is_is_a_bug) {
  EXPECT_DEATH(whole.drop_front(101), "cannot drop more");
  EXPECT_DEATH((void)whole.take_front(101), "cannot give more");
}

// --- BufferPool ----------------------------------------------------------------------------------------------------

void give_back(Block* block) { Slice(block, nullptr, 0).release(); }

TEST(BufferPoolTest, blocks_have_room_alignment_one_reference_and_a_class) {
  BufferPool pool;
  const std::pair<std::size_t, std::size_t> expected[] = {{0, 512},
                                                          {1, 512},
                                                          {511, 512},
                                                          {512, 512},
                                                          {513, 1024},
                                                          {1024, 1024},
                                                          {1025, 2048},
                                                          {100'000, 131'072},
                                                          {1 << 19, 1 << 19},
                                                          {(1 << 20) - 1, 1 << 20},
                                                          {1 << 20, 1 << 20},
                                                          {(1 << 20) + 1, (1 << 20) + 1},
                                                          {5'000'001, 5'000'001}};
  for (const auto& [size, capacity] : expected) {
    Block* block = pool.allocate(size);
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(block->capacity, capacity) << size;
    EXPECT_EQ(block->references, 1u);
    EXPECT_EQ(block->owner, &pool);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block->data) % 16, 0u);
    std::memset(block->data, 0xa5, block->capacity);
    EXPECT_EQ(pool.bytes_in_use(), capacity);
    EXPECT_EQ(pool.blocks_in_use(), 1u);
    give_back(block);
  }
  EXPECT_EQ(pool.bytes_in_use(), 0u);
  EXPECT_EQ(pool.allocations(), std::size(expected));
  EXPECT_EQ(pool.bytes_in_use_max(), 5'000'001u);
}

TEST(BufferPoolTest, a_block_that_came_back_is_used_again_by_its_class_and_no_other) {
  BufferPool pool;
  Block* small = pool.allocate(300);
  Block* large = pool.allocate(5'000);
  give_back(small);
  give_back(large);
  Block* other = pool.allocate(600);
  EXPECT_NE(other, small);
  Block* again = pool.allocate(512);
  EXPECT_EQ(again, small);
  EXPECT_EQ(again->references, 1u);
  Block* large_again = pool.allocate(8'192);
  EXPECT_EQ(large_again, large);
  for (Block* block : {other, again, large_again}) give_back(block);
}

TEST(BufferPoolTest, blocks_in_use_never_overlap) {
  BufferPool pool;
  std::vector<Block*> blocks;
  for (std::size_t i = 0; i < 300; ++i) {
    blocks.push_back(pool.allocate(1 + i * 37));
    std::memset(blocks.back()->data, static_cast<int>(i), blocks.back()->capacity);
    if (i % 3 == 2) {
      give_back(blocks[i / 3]);
      blocks[i / 3] = pool.allocate(1 + i / 3 * 37);
      std::memset(blocks[i / 3]->data, static_cast<int>(i / 3), blocks[i / 3]->capacity);
    }
  }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    for (std::size_t at = 0; at < blocks[i]->capacity; ++at)
      ASSERT_EQ(blocks[i]->data[at], static_cast<std::byte>(i));
    give_back(blocks[i]);
  }
  EXPECT_EQ(pool.blocks_in_use(), 0u);
}

TEST(BufferPoolTest, the_limit_counts_whole_classes_and_what_is_in_use) {
  BufferPool pool(2048);
  Block* a = pool.allocate(600);  // 1,024
  EXPECT_EQ(pool.allocate(1025), nullptr);
  Block* b = pool.allocate(1024);
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(pool.allocate(1), nullptr);
  EXPECT_EQ(pool.blocks_in_use(), 2u);
  EXPECT_EQ(pool.allocations(), 2u);
  give_back(a);
  a = pool.allocate(1);
  EXPECT_NE(a, nullptr);
  give_back(a);
  give_back(b);
  EXPECT_EQ(pool.allocate(std::size_t{1} << 40), nullptr);
  EXPECT_EQ(pool.allocate(SIZE_MAX), nullptr);
}

TEST(BufferPoolTest, a_size_that_no_machine_has_is_refused_and_not_wrapped) {
  BufferPool pool(SIZE_MAX);
  for (std::size_t below = 0; below < 200; ++below)
    EXPECT_EQ(pool.allocate(SIZE_MAX - below), nullptr) << below;
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

struct CountingGate final : AllocationGate {
  bool admit(std::size_t bytes) noexcept override {
    asked.push_back(bytes);
    return open;
  }
  bool open = true;
  std::vector<std::size_t> asked;
};

TEST(BufferPoolTest, a_gate_says_no_to_what_would_have_succeeded_and_is_asked_for_nothing_else) {
  BufferPool pool(4096);
  CountingGate gate;
  pool.set_gate(&gate);
  Block* block = pool.allocate(700);
  ASSERT_NE(block, nullptr);
  gate.open = false;
  EXPECT_EQ(pool.allocate(700), nullptr);
  EXPECT_EQ(pool.allocate(100'000), nullptr) << "over the limit";
  EXPECT_EQ(gate.asked, (std::vector<std::size_t>{1024, 1024}));
  EXPECT_EQ(pool.bytes_in_use(), 1024u);
  pool.set_gate(nullptr);
  give_back(block);
  block = pool.allocate(700);
  EXPECT_NE(block, nullptr);
  give_back(block);
}

TEST(BufferPoolTest, shares_only_blocks_that_may_be_and_no_more_than_it_can_spare) {
  constexpr std::size_t kib = 1024;
  BufferPool pool(1024 * kib);  // an eighth: 128 KiB
  Block* plain = pool.allocate(32 * kib);
  EXPECT_FALSE(pool.share(plain)) << "nobody has allowed it";
  give_back(plain);
  std::vector<Block*> blocks;
  for (int i = 0; i < 5; ++i) {
    blocks.push_back(pool.allocate(32 * kib));
    BufferPool::allow_sharing(*blocks.back());
    EXPECT_EQ(pool.share(blocks.back()), i < 4);
    EXPECT_EQ(pool.share(blocks.back()), i < 4) << "asked again";
  }
  give_back(blocks[0]);
  EXPECT_TRUE(pool.share(blocks[4])) << "another came home";
  for (int i = 1; i < 5; ++i) give_back(blocks[static_cast<std::size_t>(i)]);
  Block* again = pool.allocate(32 * kib);
  EXPECT_FALSE(pool.share(again)) << "a block that came home is as any other";
  give_back(again);
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST(BufferPoolDeathTest, a_block_that_is_out_when_its_pool_dies_is_a_bug) {
  EXPECT_DEATH(
      {
        BufferPool pool;
        (void)pool.allocate(1);
      },
      "destroyed while a message still used it");
}

// --- Batch ---------------------------------------------------------------------------------------------------------

TEST(BatchTest, clearing_drops_the_references_and_keeps_the_allocation) {
  BufferPool pool;
  Batch batch(8);
  const std::size_t capacity = batch.capacity();
  EXPECT_GE(capacity, 8u);
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < 8; ++i)
      batch.push(std::move(*MutableMessage::create(pool, Command::ping, i)).freeze());
    EXPECT_EQ(batch.size(), 8u);
    EXPECT_EQ(batch[3].size(), header_size + 3);
    EXPECT_EQ(batch.messages().size(), 8u);
    const Message kept = batch[0];
    batch.clear();
    EXPECT_TRUE(batch.empty());
    EXPECT_EQ(batch.capacity(), capacity);
    EXPECT_EQ(pool.blocks_in_use(), 1u) << "the one that somebody keeps";
  }
  EXPECT_EQ(pool.blocks_in_use(), 0u);
}

}  // namespace
}  // namespace twinwire
