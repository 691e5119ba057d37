// SPDX-License-Identifier: Apache-2.0
// Which messages of a batch are copied before they are written, and that the bytes are the same wherever a write stops.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "transport/framed/coalesce.h"

namespace twinwire {
namespace {

// Takes at most `takes` bytes a write, and writes down what it was given.
class RecordingStream final : public ByteStream {
 public:
  Result<std::size_t> write(std::span<const iovec> pieces, Deadline) override {
    writes.emplace_back(pieces.begin(), pieces.end());
    std::size_t taken = 0;
    for (const iovec& piece : pieces) {
      const auto* from = static_cast<const std::byte*>(piece.iov_base);
      const std::size_t n = std::min(piece.iov_len, takes - taken);
      bytes.insert(bytes.end(), from, from + n);
      taken += n;
    }
    if (!only_once) return taken;
    takes = SIZE_MAX;
    return taken;
  }
  Result<Slice> read(Deadline) override { return Errc::unsupported; }
  Result<std::size_t> read_into(std::span<std::byte>, Deadline) override {
    return Errc::unsupported;
  }
  Result<void> shutdown_write(Deadline) override { return {}; }
  void abort() noexcept override {}
  Address local() const noexcept override { return {}; }
  Address peer() const noexcept override { return {}; }

  std::size_t takes = SIZE_MAX;
  bool only_once = false;  // then everything
  std::vector<std::vector<iovec>> writes;
  std::vector<std::byte> bytes;
};

class Coalesce : public testing::Test {
 protected:
  void fill(const std::vector<std::size_t>& sizes) {
    batch_.clear();
    expected_.clear();
    for (const std::size_t size : sizes) {
      auto made = MutableMessage::create(pool_, Command::ping, size - header_size);
      ASSERT_TRUE(made.has_value());
      for (std::byte& b : made->body()) b = static_cast<std::byte>(++number_ * 37 >> 3);
      made->set_view(++number_);
      Message message = std::move(*made).freeze();
      expected_.insert(expected_.end(), message.bytes().begin(), message.bytes().end());
      batch_.push(std::move(message));
    }
  }
  // Writes the batch, and returns the pieces of its writes.
  std::vector<std::vector<iovec>> write(std::size_t below) {
    stream_ = {};
    EXPECT_TRUE(write_coalesced(stream_, pool_, batch_, below, Deadline::never()).has_value());
    EXPECT_EQ(stream_.bytes, expected_);
    return stream_.writes;
  }
  bool in_place(const iovec& piece, std::size_t i) const {
    return piece.iov_base == batch_[i].bytes().data() && piece.iov_len == batch_[i].size();
  }

  BufferPool pool_;
  Batch batch_;
  std::vector<std::byte> expected_;
  std::uint32_t number_ = 0;
  RecordingStream stream_;
};

TEST_F(Coalesce, neighbours_below_the_bound_become_one_piece_and_larger_ones_stay_where_they_lie) {
  fill({256, 300, 5000, 256, 256, 256, 1000, 256});
  const auto writes = write(1000);
  ASSERT_EQ(writes.size(), 1u);
  ASSERT_EQ(writes[0].size(), 5u);
  EXPECT_EQ(writes[0][0].iov_len, 556u);
  EXPECT_TRUE(in_place(writes[0][1], 2));
  EXPECT_EQ(writes[0][2].iov_len, 768u);
  EXPECT_TRUE(in_place(writes[0][3], 6)) << "of the bound's own size it is not below it";
  EXPECT_TRUE(in_place(writes[0][4], 7)) << "alone it is a piece in any case";
}

TEST_F(Coalesce, where_nothing_is_copied_no_memory_is_taken) {
  fill({256, 2000, 256, 2000});
  const std::uint64_t before = pool_.allocations();
  const auto writes = write(1000);
  ASSERT_EQ(writes.size(), 1u);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_TRUE(in_place(writes[0][i], i));
  EXPECT_EQ(pool_.allocations(), before);
}

TEST_F(Coalesce, what_is_copied_lies_in_one_block_that_begins_on_a_page_and_goes_back) {
  fill(std::vector<std::size_t>(256, 256));
  const std::size_t blocks = pool_.blocks_in_use();
  const std::uint64_t before = pool_.allocations();
  const auto writes = write(512);
  ASSERT_EQ(writes.size(), 1u);
  ASSERT_EQ(writes[0].size(), 1u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(writes[0][0].iov_base) % 4096, 0u);
  EXPECT_EQ(pool_.allocations(), before + 1);
  EXPECT_EQ(pool_.blocks_in_use(), blocks);
}

TEST_F(Coalesce, more_than_is_copied_at_one_time_makes_another_write) {
  for (const std::size_t size : {256u, 257u, 4000u, 63'487u, 63'488u, 63'489u}) {
    fill(std::vector<std::size_t>(512 * 257 / size + 3, size));
    const auto writes = write(1 << 20);
    EXPECT_GE(writes.size(), 2u);
    for (const auto& pieces : writes) EXPECT_EQ(pieces.size(), 1u);
  }
}

TEST_F(Coalesce, a_message_larger_than_that_is_not_copied) {
  fill({256, 256, coalesced_bytes_max + 1, 256, coalesced_bytes_max, 256});
  const auto writes = write(1 << 20);
  EXPECT_TRUE(std::ranges::any_of(writes, [&](const auto& pieces) {
    return std::ranges::any_of(pieces, [&](const iovec& p) { return in_place(p, 2); });
  }));
}

TEST_F(Coalesce, without_memory_it_copies_nothing) {
  fill({256, 256, 256});
  class Refuse final : public AllocationGate {
    bool admit(std::size_t) noexcept override { return false; }
  } refuse;
  pool_.set_gate(&refuse);
  const auto writes = write(1000);
  pool_.set_gate(nullptr);
  ASSERT_EQ(writes[0].size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(in_place(writes[0][i], i));
}

TEST_F(Coalesce, the_bytes_are_the_same_wherever_the_first_write_stops) {
  fill({256, 300, 1000, 257, 256, 400});
  for (std::size_t stop = 1; stop <= expected_.size(); ++stop) {
    stream_ = {};
    stream_.takes = stop;
    stream_.only_once = true;
    ASSERT_TRUE(write_coalesced(stream_, pool_, batch_, 600, Deadline::never()).has_value());
    ASSERT_EQ(stream_.bytes, expected_) << stop;
  }
}

TEST_F(Coalesce, the_bytes_are_the_same_where_every_write_is_short) {
  fill(std::vector<std::size_t>(512, 300));
  for (const std::size_t takes : {1'000u, 4'096u, 60'000u, 126'975u, 126'976u, 126'977u}) {
    stream_ = {};
    stream_.takes = takes;
    ASSERT_TRUE(write_coalesced(stream_, pool_, batch_, 600, Deadline::never()).has_value());
    ASSERT_EQ(stream_.bytes, expected_) << takes;
  }
}

}  // namespace
}  // namespace twinwire
