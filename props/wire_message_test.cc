// SPDX-License-Identifier: Apache-2.0
// The frame to the byte: every field at its offset, golden bytes, and the seal.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "transport/wire/message.h"
#include "transport/wire/seal.h"

namespace twinwire {
namespace {

struct MessageTest : ::testing::Test {
  BufferPool pool;
  MutableMessage make(Command command, std::size_t body) {
    return std::move(*MutableMessage::create(pool, command, body));
  }
  static std::vector<unsigned char> copy(std::span<const std::byte> bytes) {
    const auto* from = reinterpret_cast<const unsigned char*>(bytes.data());
    return {from, from + bytes.size()};
  }
};

TEST_F(MessageTest, a_new_frame_has_its_size_and_command_and_zeros) {
  for (const std::size_t body : {0u, 1u, 255u, 256u, 70'000u}) {
    MutableMessage message = make(Command::prepare_ok, body);
    std::vector<unsigned char> expected(header_size, 0);
    const auto size = static_cast<std::uint32_t>(header_size + body);
    for (std::size_t i = 0; i < 4; ++i)
      expected[48 + i] = static_cast<unsigned char>(size >> (8 * i));
    expected[60] = 7;
    EXPECT_EQ(copy(message.bytes().first(header_size)), expected);
    EXPECT_EQ(message.size(), size);
    EXPECT_EQ(message.body().size(), body);
  }
}

// A dirty block of the pool must not show through.
TEST_F(MessageTest, a_header_in_a_used_block_is_zeroed) {
  {
    MutableMessage dirty = make(Command::ping, 100);
    std::memset(dirty.bytes().data(), 0xff, dirty.size());
  }
  MutableMessage message = make(Command::reserved, 100);
  for (std::size_t i = 0; i < header_size; ++i)
    if (i < 48 || i >= 52) {
      EXPECT_EQ(message.bytes()[i], std::byte{0}) << i;
    }
}

// Written field by field with distinct bytes; the table is DESIGN's, by number and not by name.
TEST_F(MessageTest, every_field_stands_at_its_offset_in_little_endian) {
  MutableMessage message = make(Command::request, 3);
  message.set_checksum({0x0706050403020100, 0x0f0e0d0c0b0a0908});
  message.set_checksum_body({0x1716151413121110, 0x1f1e1d1c1b1a1918});
  message.set_cluster({0x2726252423222120, 0x2f2e2d2c2b2a2928});
  message.set_view(0x37363534);
  message.set_release(0x3b3a3938);
  message.set_replica(0x3d);
  message.set_request_id(0xafaeadacabaaa9a8);
  std::memcpy(message.body().data(), "abc", 3);
  const Message frozen = std::move(message).freeze();

  std::vector<unsigned char> expected(header_size + 3, 0);
  for (unsigned char i = 0; i < 48; ++i) expected[i] = i;  // three u128
  expected[48] = 3;                                        // size: 259
  expected[49] = 1;
  for (unsigned char i = 52; i < 60; ++i) expected[i] = i;    // view, release
  expected[60] = 5;                                           // request
  expected[61] = 0x3d;                                        // replica
  for (unsigned char i = 168; i < 176; ++i) expected[i] = i;  // the request's id
  std::memcpy(&expected[256], "abc", 3);
  // view is at 52 and holds 0x34 0x35 0x36 0x37 = 52..55; release 0x38.. = 56..59
  EXPECT_EQ(copy(frozen.bytes()), expected);

  const HeaderView header = frozen.header();
  EXPECT_EQ(header.checksum(), (U128{0x0706050403020100, 0x0f0e0d0c0b0a0908}));
  EXPECT_EQ(header.checksum_body(), (U128{0x1716151413121110, 0x1f1e1d1c1b1a1918}));
  EXPECT_EQ(header.cluster(), (U128{0x2726252423222120, 0x2f2e2d2c2b2a2928}));
  EXPECT_EQ(header.size(), 259u);
  EXPECT_EQ(header.view(), 0x37363534u);
  EXPECT_EQ(header.release(), 0x3b3a3938u);
  EXPECT_EQ(header.command_byte(), 5u);
  EXPECT_EQ(header.command(), Command::request);
  EXPECT_EQ(header.replica(), 0x3du);
  EXPECT_EQ(request_id(frozen), 0xafaeadacabaaa9a8);
  EXPECT_EQ(frozen.body().size(), 3u);
}

TEST_F(MessageTest, fields_fill_the_header_without_gap_or_overlap) {
  EXPECT_EQ(offset::checksum, 0u);
  EXPECT_EQ(offset::checksum_body, offset::checksum + 16);
  EXPECT_EQ(offset::cluster, offset::checksum_body + 16);
  EXPECT_EQ(offset::size, offset::cluster + 16);
  EXPECT_EQ(offset::view, offset::size + 4);
  EXPECT_EQ(offset::release, offset::view + 4);
  EXPECT_EQ(offset::command, offset::release + 4);
  EXPECT_EQ(offset::replica, offset::command + 1);
  EXPECT_EQ(offset::reserved_frame, offset::replica + 1);
  EXPECT_EQ(offset::reserved_command, offset::reserved_frame + 66);
  EXPECT_EQ(header_size, offset::reserved_command + 128);
}

TEST_F(MessageTest, commands_have_the_numbers_of_the_protocol) {
  const Command in_order[] = {Command::reserved,
                              Command::ping,
                              Command::pong,
                              Command::ping_client,
                              Command::pong_client,
                              Command::request,
                              Command::prepare,
                              Command::prepare_ok,
                              Command::reply,
                              Command::commit,
                              Command::start_view_change,
                              Command::do_view_change,
                              Command::start_view};
  for (std::size_t i = 0; i < std::size(in_order); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(in_order[i]), i);
    EXPECT_EQ(make(in_order[i], 0).bytes()[60], static_cast<std::byte>(i));
  }
}

TEST_F(MessageTest, a_reply_has_its_request_id_at_200_and_no_other_command_has_one) {
  MutableMessage reply = make(Command::reply, 0);
  reply.set_request_id(0x0807060504030201);
  const Message frozen = std::move(reply).freeze();
  for (std::size_t i = 0; i < 8; ++i)
    EXPECT_EQ(frozen.bytes()[200 + i], static_cast<std::byte>(i + 1));
  EXPECT_EQ(frozen.bytes()[168], std::byte{0});
  EXPECT_EQ(request_id(frozen), 0x0807060504030201u);
  for (int c = 0; c <= 12; ++c) {
    const auto command = static_cast<Command>(c);
    if (command == Command::request || command == Command::reply) continue;
    MutableMessage other = make(command, 0);
    std::memset(other.bytes().data() + 128, 0x11, 128);
    EXPECT_EQ(request_id(std::move(other).freeze()), 0u) << c;
  }
  EXPECT_DEATH(make(Command::ping, 0).set_request_id(1), "only a request or a reply");
}

TEST_F(MessageTest, freezing_and_copying_share_the_bytes) {
  MutableMessage message = make(Command::ping, 10);
  const std::byte* where = message.bytes().data();
  Message frozen = std::move(message).freeze();
  EXPECT_EQ(frozen.bytes().data(), where);
  Message copy = frozen;
  EXPECT_EQ(copy.bytes().data(), where);
  EXPECT_EQ(pool.blocks_in_use(), 1u);
  frozen = Message();
  EXPECT_TRUE(frozen.empty());
  EXPECT_EQ(copy.body().size(), 10u);
  copy = Message();
  EXPECT_EQ(pool.blocks_in_use(), 0u);
}

TEST_F(MessageTest, a_mutable_message_gives_its_block_back_wherever_it_ends) {
  {
    MutableMessage a = make(Command::ping, 10);
    MutableMessage b = make(Command::pong, 20);
    b = std::move(a);
    EXPECT_EQ(b.size(), header_size + 10);
    const MutableMessage c = std::move(b);
    EXPECT_EQ(c.size(), header_size + 10);
  }
  EXPECT_EQ(pool.blocks_in_use(), 0u);
}

TEST_F(MessageTest, what_does_not_fit_is_too_large_and_what_is_not_there_no_resources) {
  EXPECT_EQ(MutableMessage::create(pool, Command::ping, 0xffff'ffff - 255).error(),
            Errc::too_large);
  EXPECT_EQ(MutableMessage::create(pool, Command::ping, SIZE_MAX).error(), Errc::too_large);
  BufferPool small(512);
  EXPECT_EQ(MutableMessage::create(small, Command::ping, 257).error(), Errc::no_resources);
  EXPECT_TRUE(MutableMessage::create(small, Command::ping, 256));
  EXPECT_EQ(MutableMessage::create(small, Command::ping, 0xffff'ffff - 256).error(),
            Errc::no_resources);
}

// --- The seal ------------------------------------------------------------------------------------------------------

// XXH3-64 of nothing, of "abc", and of the header's bytes 16..256 as they then stand; reckoned by another
// implementation of the algorithm than the library's.
TEST_F(MessageTest, the_seal_has_golden_values) {
  MutableMessage empty = make(Command::ping, 0);
  seal(empty);
  const HeaderView of_empty(empty.bytes().data());
  EXPECT_EQ(of_empty.checksum_body(), (U128{0x2d06800538d394c2, 0}));
  EXPECT_EQ(of_empty.checksum(), (U128{0xa253547492e6b3f6, 0}));

  MutableMessage abc = make(Command::request, 3);
  std::memcpy(abc.body().data(), "abc", 3);
  abc.set_cluster({1, 2});
  abc.set_view(3);
  abc.set_request_id(4);
  seal(abc);
  const HeaderView of_abc(abc.bytes().data());
  EXPECT_EQ(of_abc.checksum_body(), (U128{0x78af5f94892f3950, 0}));
  EXPECT_EQ(of_abc.checksum(), (U128{0x20b5387f1d5da049, 0}));
}

TEST_F(MessageTest, every_flipped_bit_of_a_sealed_frame_is_found) {
  for (const std::size_t body : {0u, 1u, 100u, 600u}) {
    MutableMessage message = make(Command::reply, body);
    for (std::size_t i = 0; i < body; ++i) message.body()[i] = static_cast<std::byte>(i * 31);
    message.set_request_id(99);
    seal(message);
    ASSERT_TRUE(seal_matches(message.bytes()));
    for (std::size_t bit = 0; bit < 8 * message.size(); ++bit) {
      message.bytes()[bit / 8] ^= std::byte{1} << bit % 8;
      ASSERT_FALSE(seal_matches(message.bytes())) << "bit " << bit % 8 << " of byte " << bit / 8;
      message.bytes()[bit / 8] ^= std::byte{1} << bit % 8;
    }
    ASSERT_TRUE(seal_matches(message.bytes()));
  }
}

TEST_F(MessageTest, sealing_again_after_a_change_matches_again) {
  MutableMessage message = make(Command::commit, 50);
  std::memset(message.body().data(), 1, 50);
  seal(message);
  message.set_view(7);
  message.body()[3] = std::byte{9};
  EXPECT_FALSE(seal_matches(message.bytes()));
  seal(message);
  EXPECT_TRUE(seal_matches(message.bytes()));
  seal(message);
  EXPECT_TRUE(seal_matches(message.bytes())) << "the seal does not cover itself";
}

TEST_F(MessageTest, an_unsealed_frame_does_not_match) {
  EXPECT_FALSE(seal_matches(make(Command::ping, 0).bytes()));
}

}  // namespace
}  // namespace twinwire
