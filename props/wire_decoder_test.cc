// SPDX-License-Identifier: Apache-2.0
// FrameDecoder by example: what is invalid and when it is said, where a frame lies, and what happens when memory runs
// out.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "props/lender.h"
#include "transport/wire/frame_decoder.h"
#include "transport/wire/seal.h"

namespace twinwire {
namespace {

using props::Lender;
using Bytes = std::vector<std::byte>;

struct Gate final : AllocationGate {
  bool admit(std::size_t bytes) noexcept override {
    asked.push_back(bytes);
    return open;
  }
  bool open = true;
  std::vector<std::size_t> asked;
};

constexpr std::size_t kib = 1024;
constexpr std::size_t max = 64 * kib;

struct DecoderTest : ::testing::Test {
  Lender lender;
  BufferPool pool;
  Gate gate;
  FrameDecoder decoder{pool, false};
  Message out;

  DecoderTest() { pool.set_gate(&gate); }
  ~DecoderTest() override {
    out = Message();
    decoder.discard();
    EXPECT_EQ(lender.out, 0);
    EXPECT_EQ(pool.blocks_in_use(), 0u);
  }

  static Bytes frame(std::size_t size, Command command = Command::request) {
    BufferPool own;
    MutableMessage message = std::move(*MutableMessage::create(own, command, size - header_size));
    for (std::size_t i = 0; i < message.body().size(); ++i)
      message.body()[i] = static_cast<std::byte>(i * 7 + size);
    seal(message);
    return {message.bytes().begin(), message.bytes().end()};
  }
  static Bytes header(std::uint32_t size, std::uint8_t command = 1) {
    Bytes bytes(header_size);
    store(bytes.data() + offset::size, size);
    store(bytes.data() + offset::command, command);
    return bytes;
  }
  static Bytes joined(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }
  void feed(std::span<const std::byte> bytes, std::size_t capacity = 0) {
    decoder.feed(lender.lend(bytes, std::max(capacity, bytes.size())));
  }
  bool next_is(const Bytes& expected, std::size_t bound = max) {
    const auto whole = decoder.next(bound, out);
    return whole && *whole && std::ranges::equal(out.bytes(), expected);
  }
  bool wants_more(std::size_t bound = max) {
    const auto whole = decoder.next(bound, out);
    return whole && !*whole;
  }
  Errc error(std::size_t bound = max) {
    const auto whole = decoder.next(bound, out);
    EXPECT_FALSE(whole.has_value());
    return whole ? Errc{} : whole.error().code;
  }
};

TEST_F(DecoderTest,
       small_frames_stay_where_they_lie_if_they_are_many_and_their_owner_can_spare_it) {
  Bytes many;
  const Bytes one = frame(300);
  for (int i = 0; i < 40; ++i) many = joined(std::move(many), one);
  for (const bool shares : {false, true}) {
    lender.shares = shares;
    gate.asked.clear();
    feed(many, 64 * kib);
    std::vector<Message> kept;
    for (int i = 0; i < 40; ++i) {
      ASSERT_TRUE(next_is(one));
      kept.push_back(std::move(out));
    }
    EXPECT_TRUE(wants_more());
    EXPECT_EQ(gate.asked.size(), shares ? 0u : 40u) << "copies";
    EXPECT_EQ(lender.out, shares ? 1 : 0);
    for (const Message& message : kept) EXPECT_TRUE(std::ranges::equal(message.bytes(), one));
  }
  feed(joined(one, one), 64 * kib);
  EXPECT_TRUE(next_is(one));
  EXPECT_EQ(gate.asked.size(), 1u) << "few are copied all the same";
  EXPECT_TRUE(next_is(one));
}

TEST_F(DecoderTest, take_yields_what_next_would_up_to_the_first_bad_header) {
  const Bytes one = frame(300);
  for (const bool shares : {true, false})
    for (const Bytes& bad :
         {header(header_size, 200), header(0), joined(header(600), Bytes(344))}) {
      lender.shares = shares;
      feed(joined(joined(one, one), bad), 16 * kib);
      Batch batch(8);
      auto taken = decoder.take(500, batch);
      ASSERT_FALSE(taken);
      EXPECT_EQ(taken.error(), Errc::invalid);
      EXPECT_EQ(batch.size(), 2U);
      taken = decoder.take(500, batch);
      ASSERT_FALSE(taken) << "asked again it says the same";
      EXPECT_EQ(taken.error(), Errc::invalid);
      EXPECT_EQ(batch.size(), 2U);
      decoder.discard();
    }
}

TEST_F(DecoderTest, take_fills_the_batch_and_leaves_the_rest) {
  const Bytes one = frame(300);
  Bytes bytes = one;
  for (int i = 0; i < 4; ++i) bytes = joined(bytes, one);
  for (const bool shares : {true, false}) {
    lender.shares = shares;
    feed(joined(bytes, Bytes(one.begin(), one.begin() + 280)), 16 * kib);
    Batch batch(2);
    ASSERT_TRUE(decoder.take(max, batch));
    EXPECT_EQ(batch.size(), 2U);
    batch.clear();
    ASSERT_TRUE(batch.reserve(8));
    ASSERT_TRUE(decoder.take(max, batch));
    EXPECT_EQ(batch.size(), 3U) << "the sixth is not whole";
    feed(Bytes(one.begin() + 280, one.end()), 16 * kib);
    ASSERT_TRUE(decoder.take(max, batch));
    EXPECT_EQ(batch.size(), 4U);
    for (const Message& message : batch.messages())
      EXPECT_TRUE(std::ranges::equal(message.bytes(), one));
  }
}

TEST_F(DecoderTest, a_header_out_of_bounds_is_invalid_before_memory_is_taken) {
  const std::pair<Bytes, const char*> bad[] = {
      {header(0), "size 0"},
      {header(255), "one under the header"},
      {header(max + 1), "one over the maximum"},
      {header(0xffff'ffff), "the largest size"},
      {header(256, 13), "the first unknown command"},
      {header(256, 255), "the last unknown command"},
  };
  for (const auto& [bytes, what] : bad)
    for (const std::size_t split : {256u, 1u, 128u, 255u}) {
      FrameDecoder fresh(pool, false);
      gate.asked.clear();
      fresh.feed(lender.lend(std::span(bytes).first(split), split));
      auto whole = fresh.next(max, out);
      if (split < 256) {
        ASSERT_TRUE(whole && !*whole) << what << ": not said before the header is whole";
        fresh.feed(lender.lend(std::span(bytes).subspan(split), 256));
        whole = fresh.next(max, out);
      }
      ASSERT_FALSE(whole) << what << ", split at " << split;
      EXPECT_EQ(whole.error(), Errc::invalid) << what;
      EXPECT_TRUE(gate.asked.empty()) << what;
    }
}

TEST_F(DecoderTest, sizes_at_the_bounds_and_every_known_command_are_good) {
  for (const std::size_t size : {header_size, header_size + 1, max - 1, max}) {
    const Bytes bytes = frame(size);
    feed(bytes);
    EXPECT_TRUE(next_is(bytes)) << size;
    EXPECT_TRUE(wants_more());
  }
  for (std::uint8_t command = 0; command <= 12; ++command) {
    const Bytes bytes = header(256, command);
    feed(bytes);
    EXPECT_TRUE(next_is(bytes));
    EXPECT_TRUE(wants_more());
  }
}

TEST_F(DecoderTest, the_maximum_is_that_of_the_present_call) {
  const Bytes bytes = frame(1000);
  feed(bytes);
  EXPECT_EQ(error(999), Errc::invalid);
  FrameDecoder other(pool, false);
  other.feed(lender.lend(std::span(bytes).first(500), 500));
  auto whole = other.next(1000, out);
  ASSERT_TRUE(whole && !*whole);
  whole = other.next(999, out);  // half of it is here already: it is refused all the same
  ASSERT_FALSE(whole);
  EXPECT_EQ(whole.error(), Errc::invalid);
}

TEST_F(DecoderTest, a_frame_of_half_the_memory_it_lies_in_stays_there_and_a_smaller_one_is_copied) {
  const Bytes bytes = frame(512);
  for (const auto& [capacity, in_place] : {std::pair<std::size_t, bool>{512, true},
                                           {1023, true},
                                           {1024, true},
                                           {1025, false},
                                           {65536, false}}) {
    gate.asked.clear();
    Slice slice = lender.lend(bytes, capacity);
    const std::byte* lies_at = slice.data();
    decoder.feed(std::move(slice));
    ASSERT_TRUE(next_is(bytes));
    EXPECT_EQ(out.bytes().data() == lies_at, in_place) << capacity;
    EXPECT_EQ(gate.asked.empty(), in_place) << capacity;
    EXPECT_EQ(lender.out, in_place ? 1 : 0) << "a copied-out frame leaves the buffer free at once";
    out = Message();
    EXPECT_EQ(lender.out, 0);
  }
}

TEST_F(DecoderTest, two_frames_in_one_buffer_may_both_stay_there) {
  const Bytes first = frame(600);
  const Bytes second = frame(500);
  feed(joined(first, second), 1000 + 100);
  ASSERT_TRUE(next_is(first));
  const Message kept = std::move(out);
  ASSERT_TRUE(next_is(second));
  EXPECT_TRUE(std::ranges::equal(kept.bytes(), first));
  EXPECT_EQ(lender.out, 1) << "the first of them holds it; the second was copied";
}

TEST_F(DecoderTest, what_was_consumed_goes_home_at_once_not_at_the_next_call) {
  const Bytes large = frame(60 * kib);
  feed(std::span(large).first(20 * kib));
  EXPECT_TRUE(wants_more());
  EXPECT_EQ(lender.out, 0)
      << "a partial frame must not hold the network's buffer while it waits for the rest";
  feed(std::span(large).subspan(20 * kib));
  ASSERT_TRUE(next_is(large));
  EXPECT_EQ(lender.out, 0) << "nor a gathered one while nobody asks for the next";
}

TEST_F(DecoderTest, the_rest_of_a_large_body_can_be_read_in_place) {
  const Bytes large = frame(60 * kib);
  EXPECT_TRUE(decoder.direct_space().empty()) << "no frame yet";
  feed(std::span(large).first(header_size));
  EXPECT_TRUE(wants_more());
  auto space = decoder.direct_space();
  ASSERT_EQ(space.size(), large.size() - header_size);
  std::memcpy(space.data(), &large[header_size], 30 * kib);
  decoder.commit(30 * kib);
  EXPECT_TRUE(wants_more());
  space = decoder.direct_space();
  EXPECT_EQ(space.size(), large.size() - header_size - 30 * kib);
  decoder.commit(0);
  std::memcpy(space.data(), &large[header_size + 30 * kib], 20 * kib);
  decoder.commit(20 * kib);
  EXPECT_TRUE(decoder.direct_space().empty()) << "little is left: feeding serves better";
  feed(std::span(large).subspan(header_size + 50 * kib));
  EXPECT_TRUE(next_is(large));
  EXPECT_TRUE(decoder.direct_space().empty());
}

TEST_F(DecoderTest, committing_more_than_there_is_room_for_is_a_bug) {
  EXPECT_DEATH(decoder.commit(1), "more than direct_space");
  const Bytes large = frame(60 * kib);
  feed(std::span(large).first(header_size));
  EXPECT_TRUE(wants_more());
  EXPECT_DEATH(decoder.commit(decoder.direct_space().size() + 1), "more than direct_space");
}

TEST_F(DecoderTest, feeding_before_what_was_fed_is_consumed_is_a_bug) {
  const Bytes bytes = frame(300);
  feed(bytes);
  EXPECT_DEATH(feed(bytes), "before next\\(\\) consumed");
}

TEST_F(DecoderTest, the_end_is_clean_between_two_frames_and_broken_anywhere_inside_one) {
  EXPECT_EQ(decoder.end_of_stream(), Errc::closed);
  const Bytes bytes = frame(1000);
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    FrameDecoder fresh(pool, false);
    fresh.feed(lender.lend(std::span(bytes).first(cut), cut));
    const auto whole = fresh.next(max, out);
    ASSERT_TRUE(whole && !*whole);
    ASSERT_EQ(fresh.end_of_stream(), Errc::broken) << cut;
  }
  feed(bytes);
  EXPECT_TRUE(next_is(bytes));
  EXPECT_EQ(decoder.end_of_stream(), Errc::closed);
}

TEST_F(DecoderTest, discard_forgets_everything_and_gives_everything_back) {
  const Bytes bytes = frame(1000);
  for (const std::size_t cut : {1u, 255u, 256u, 700u}) {
    feed(std::span(bytes).first(cut), 4096);
    EXPECT_TRUE(wants_more());
    decoder.discard();
    EXPECT_EQ(decoder.end_of_stream(), Errc::closed);
    EXPECT_EQ(pool.blocks_in_use(), 0u);
    EXPECT_EQ(lender.out, 0);
  }
  feed(joined(bytes, bytes));
  decoder.discard();
  EXPECT_EQ(lender.out, 0);
  feed(bytes);
  EXPECT_TRUE(next_is(bytes));
}

// --- Memory runs out -----------------------------------------------------------------------------------------------

TEST_F(DecoderTest, a_frame_that_finds_no_memory_comes_on_a_later_call) {
  const Bytes bytes = frame(600);
  feed(bytes, 4096);  // to be copied out
  gate.open = false;
  EXPECT_EQ(error(), Errc::no_resources);
  EXPECT_EQ(error(), Errc::no_resources);
  EXPECT_EQ(decoder.end_of_stream(), Errc::broken) << "something is here";
  gate.open = true;
  EXPECT_TRUE(next_is(bytes));
  EXPECT_TRUE(wants_more());
}

// A frame that is nothing but a header and came in pieces has no further byte to arrive: the retry must need none.
TEST_F(DecoderTest, a_bare_header_in_pieces_that_finds_no_memory_comes_on_a_later_call) {
  const Bytes bytes = header(256);
  feed(std::span(bytes).first(100));
  EXPECT_TRUE(wants_more());
  feed(std::span(bytes).subspan(100));
  gate.open = false;
  EXPECT_EQ(error(), Errc::no_resources);
  EXPECT_EQ(lender.out, 0);
  EXPECT_EQ(error(), Errc::no_resources) << "said again, not `feed more`";
  gate.open = true;
  EXPECT_TRUE(next_is(bytes));
  EXPECT_EQ(decoder.end_of_stream(), Errc::closed);
}

TEST_F(DecoderTest, a_body_whose_header_found_no_memory_goes_on_where_it_was) {
  const Bytes bytes = frame(2000);
  feed(std::span(bytes).first(10));
  EXPECT_TRUE(wants_more());
  feed(std::span(bytes).subspan(10, 300));
  gate.open = false;
  EXPECT_EQ(error(), Errc::no_resources);
  gate.open = true;
  EXPECT_TRUE(wants_more());
  feed(std::span(bytes).subspan(310));
  EXPECT_TRUE(next_is(bytes));
}

TEST_F(DecoderTest, no_resources_does_not_soften_the_bound_of_the_next_call) {
  const Bytes bytes = frame(2000);
  feed(std::span(bytes).first(100));
  EXPECT_TRUE(wants_more());
  feed(std::span(bytes).subspan(100, 156));
  gate.open = false;
  EXPECT_EQ(error(2000), Errc::no_resources);
  gate.open = true;
  EXPECT_EQ(error(1999), Errc::invalid);
}

// --- Seals ---------------------------------------------------------------------------------------------------------

TEST_F(DecoderTest, a_seal_is_checked_where_it_is_asked_for_however_the_frame_came) {
  const Bytes good = frame(700);
  for (const std::size_t flipped : {3u, 20u, 40u, 130u, 256u, 699u})
    for (const std::size_t capacity : {700u, 5000u})
      for (const std::size_t split : {700u, 90u, 300u}) {
        Bytes bad = good;
        bad[flipped] ^= std::byte{4};
        for (const bool verify : {false, true}) {
          FrameDecoder fresh(pool, verify);
          fresh.feed(lender.lend(std::span(bad).first(split), capacity));
          auto whole = fresh.next(max, out);
          if (split < 700) {
            ASSERT_TRUE(whole && !*whole);
            fresh.feed(lender.lend(std::span(bad).subspan(split), capacity));
            whole = fresh.next(max, out);
          }
          if (verify) {
            ASSERT_FALSE(whole) << flipped;
            EXPECT_EQ(whole.error(), Errc::invalid);
            EXPECT_EQ(fresh.next(max, out).error(), Errc::invalid) << "and that is final";
          } else {
            EXPECT_TRUE(whole && *whole);
          }
        }
      }
  FrameDecoder strict(pool, true);
  strict.feed(lender.lend(good, 700));
  const auto whole = strict.next(max, out);
  EXPECT_TRUE(whole && *whole);
}

}  // namespace
}  // namespace twinwire
