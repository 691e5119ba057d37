// SPDX-License-Identifier: Apache-2.0
// The credit that QuicInbound gives to a peer that writes several messages in turns, as quic-go does (ours writes them
// one after another): the first one comes to its end, whatever the later ones have spent; and memory stays bounded.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "transport/quic/quic_inbound.h"
#include "transport/wire/message.h"

namespace twinwire {
namespace {

constexpr std::size_t megabyte = 1 << 20;
constexpr std::size_t chunk = 1200;

struct Outcome {
  std::size_t yielded = 0;
  std::size_t unread_max = 0;  // bytes that had arrived and nobody had read
  bool stuck = false;          // as QuicInbound says
  bool stalled = false;        // the peer may send nothing more
};

// A peer that has so many messages of that size, writes `abreast` of them in turns and keeps to its credit; a reader
// that takes what is whole and waits.
Outcome converse(std::size_t messages, std::size_t size, std::size_t abreast, std::size_t max) {
  BufferPool pool;
  const QuicOptions options;
  QuicInbound inbound(pool, options);
  const Message message =
      std::move(*MutableMessage::create(pool, Command::request, size - header_size)).freeze();
  std::vector<std::size_t> written(messages, 0);
  std::vector<std::size_t> windows(messages, options.stream_window);
  std::size_t room = options.connection_window;
  std::size_t streams = options.messages_window;
  std::size_t untold = 0;
  std::size_t finished = 0;
  std::size_t unread = 0;
  Outcome outcome;
  while (outcome.yielded < messages && !outcome.stuck && !outcome.stalled) {
    outcome.stalled = true;
    for (std::size_t i = finished; i < std::min({messages, streams, finished + abreast}); ++i) {
      const std::size_t n = std::min({chunk, size - written[i], windows[i] - written[i], room});
      if (n == 0) continue;
      inbound.on_bytes(i, message.bytes().subspan(written[i], n), written[i] + n == size);
      written[i] += n;
      room -= n;
      unread += n;
      outcome.stalled = false;
    }
    outcome.unread_max = std::max(outcome.unread_max, unread);
    while (finished < messages && written[finished] == size) ++finished;
    Message whole;
    while (inbound.next(max, whole).value_or(false)) {
      EXPECT_EQ(std::memcmp(whole.bytes().data(), message.bytes().data(), size), 0);
      ++outcome.yielded;
      unread -= size;
    }
    if (const auto credit = inbound.take_credit(true, untold)) {
      // As the library: what is not more than half of the window it keeps to itself.
      untold += credit->bytes;
      if (2 * untold > options.connection_window) {
        room += std::exchange(untold, 0);
        outcome.stalled = false;
      }
      streams += credit->streams;
      if (credit->stream_bytes != 0) windows[credit->stream] += credit->stream_bytes;
      if (credit->streams != 0 || credit->stream_bytes != 0) outcome.stalled = false;
    }
    outcome.stuck = inbound.stuck(untold);
  }
  return outcome;
}

TEST(QuicCredit, messages_that_are_written_in_turns_all_arrive) {
  for (const std::size_t size : {256UL, 200'000UL, megabyte, 3 * megabyte, 16 * megabyte})
    for (const std::size_t abreast : {1UL, 2UL, 3UL, 4UL, 5UL, 8UL, 17UL, 60UL}) {
      if (size == 16 * megabyte && abreast > 4) continue;
      const Outcome seen = converse(abreast + 8, size, abreast, default_max_message);
      EXPECT_EQ(seen.yielded, abreast + 8) << abreast << " abreast of " << size;
      EXPECT_LE(seen.unread_max, 8 * megabyte + default_max_message);
    }
}

TEST(QuicCredit, one_after_another_they_need_the_window_and_no_more) {
  const Outcome seen = converse(70, megabyte, 1, default_max_message);
  EXPECT_EQ(seen.yielded, 70U);
  EXPECT_LE(seen.unread_max, 4 * megabyte);
}

// What is begun and not finished may be two windows and the reader's maximum; beyond that nothing can move any more.
TEST(QuicCredit, too_many_at_one_time_are_found_out) {
  EXPECT_EQ(converse(8, megabyte, 8, megabyte).yielded, 8U);
  const Outcome seen = converse(12, megabyte, 12, megabyte);
  EXPECT_EQ(seen.yielded, 0U);
  EXPECT_TRUE(seen.stuck);
  EXPECT_LE(seen.unread_max, 9 * megabyte);
}

}  // namespace
}  // namespace twinwire
