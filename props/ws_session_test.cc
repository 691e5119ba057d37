// SPDX-License-Identifier: Apache-2.0
// What a WebSocket session does beyond carrying messages, over ws and wss: pings that are answered or not, pongs of
// which only the newest counts, and how it ends.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <algorithm>

#include "props/ws_rig.h"
#include "transport/wire/batch.h"

namespace twinwire::sim {
namespace {

template <class T>
class WsSession : public testing::Test {
 protected:
  WsRig<T> rig_;

  Batch messages(std::size_t count, std::size_t body) {
    Batch batch(count);
    for (std::size_t i = 0; i < count; ++i) {
      auto message = MutableMessage::create(rig_.server.buffers(), Command::ping, body);
      std::ranges::fill(message->body(), static_cast<std::byte>(i));
      batch.push(std::move(*message).freeze());
    }
    return batch;
  }
};

struct Names {
  template <class T>
  static std::string GetName(int) {
    return std::string(T::name);
  }
};
using Both = testing::Types<Ws, Wss>;
TYPED_TEST_SUITE(WsSession, Both, Names);

TYPED_TEST(WsSession, a_peer_that_answers_no_ping_is_dropped_in_time) {
  auto& rig = this->rig_;
  rig.listening.ping_interval = 1s;
  rig.listening.ping_timeout = 2s;
  rig.run([&] {
    auto peer = rig.dial_upgraded();
    const TimePoint begin = rig.world.now();
    auto [reader, writer] = split(rig.accept());
    auto message = reader.read_message(default_max_message, Deadline::never());
    EXPECT_EQ(message.error(), Errc::broken);
    EXPECT_GE(rig.world.now(), begin + 2900ms);
    EXPECT_LE(rig.world.now(), begin + 3100ms);
    Batch batch = this->messages(1, 0);
    EXPECT_EQ(writer.send_batch(batch, rig.in(1s)).error(), Errc::timed_out);
    Bytes got;
    EXPECT_EQ(read_up_to(*peer, got, SIZE_MAX, rig.in(5s)).error(), Errc::broken);
    EXPECT_EQ(got, (Bytes{std::byte{0x89}, std::byte{0}})) << "one ping, empty, and the reset";
  });
}

TYPED_TEST(WsSession, any_sign_of_life_keeps_a_connection) {
  auto& rig = this->rig_;
  rig.listening.ping_interval = 1s;
  rig.listening.ping_timeout = 2s;
  rig.run([&] {
    auto peer = rig.dial_upgraded();
    auto [reader, writer] = split(rig.accept());
    // A pong that nobody asked for, the start of a frame, and the rest of it.
    for (int i = 0; i < 10; ++i) {
      (void)write_all(*peer, ws_frame(0x8a, {}), rig.in(1s));
      rig.sleep(2500ms);
      const Bytes ping = ws_frame(0x89, Bytes(3));
      (void)write_all(*peer, Bytes(ping.begin(), ping.begin() + 1), rig.in(1s));
      rig.sleep(2500ms);
      (void)write_all(*peer, Bytes(ping.begin() + 1, ping.end()), rig.in(1s));
    }
    Batch batch = this->messages(1, 0);
    EXPECT_TRUE(writer.send_batch(batch, rig.in(1s)).has_value());
    EXPECT_EQ(reader.read_message(default_max_message, rig.in(10ms)).error(), Errc::timed_out);
  });
}

TYPED_TEST(WsSession, two_silent_peers_that_ping_each_other_stay_connected) {
  auto& rig = this->rig_;
  rig.listening.ping_interval = 1s;
  rig.listening.ping_timeout = 500ms;
  rig.dialing.ping_interval = 700ms;
  rig.dialing.ping_timeout = 500ms;
  rig.run([&] {
    auto conn = TypeParam::dial(rig.client, rig.server.address(port), rig.dialing, rig.in(5s));
    ASSERT_TRUE(conn.has_value()) << to_string(conn.error());
    auto [reader, writer] = split(std::move(*conn));
    auto far = split(rig.accept());
    rig.sleep(std::chrono::minutes(5));
    Batch batch = this->messages(1, 10);
    ASSERT_TRUE(far.second.send_batch(batch, rig.in(1s)).has_value());
    EXPECT_TRUE(reader.read_message(default_max_message, rig.in(1s)).has_value());
  });
}

// While a batch has the turn no pong can leave; of those that are owed then, the newest goes, between two frames.
TYPED_TEST(WsSession, of_many_pongs_that_are_owed_the_newest_is_sent) {
  auto& rig = this->rig_;
  rig.listening.stream = {.send_buffer = 2304, .receive_buffer = 65536};
  rig.run([&] {
    auto peer = rig.dial_upgraded({.send_buffer = 65536, .receive_buffer = 2304});
    auto [reader, writer] = split(rig.accept());
    run_scope(rig.world.scheduler(), [&](Scope& scope) {
      scope.spawn("server", [&] {
        Batch batch = this->messages(20, 10'000);
        EXPECT_TRUE(writer.send_batch(batch, rig.in(60s)).has_value());
      });
      rig.sleep(1s);  // the batch is stuck
      for (unsigned i = 0; i < 500; ++i)
        (void)write_all(*peer, ws_frame(0x89, Bytes(100, static_cast<std::byte>(i % 251))),
                        rig.in(10s));
      rig.sleep(1s);
      Bytes got;
      while (read_up_to(*peer, got, got.size() + 1, rig.in(1s))) {}
      const ServerFrames frames(got);
      EXPECT_EQ(frames.left, 0U);
      EXPECT_EQ(frames.count(0x82), 20U);
      EXPECT_EQ(frames.count(0x8a), 1U);
      EXPECT_EQ(frames.all.back().first, 0x8aU);
      EXPECT_EQ(frames.all.back().payload, Bytes(100, std::byte{499 % 251}));
    });
  });
}

// The good-bye of each layer, the upper one first; and what comes of it where the lower one's is missing.
TYPED_TEST(WsSession, it_ends_with_a_close_frame_and_then_the_stream) {
  auto& rig = this->rig_;
  rig.run([&] {
    auto peer = rig.dial_upgraded();
    auto [reader, writer] = split(rig.accept());
    run_scope(rig.world.scheduler(), [&](Scope& scope) {
      scope.spawn("server", [&] { EXPECT_TRUE(writer.close(5s).has_value()); });
      Bytes got;
      ASSERT_TRUE(read_up_to(*peer, got, 4, rig.in(1s)));
      EXPECT_EQ(got, (Bytes{std::byte{0x88}, std::byte{2}, std::byte{0x03}, std::byte{0xe8}}));
      // The stream stays up until this side has answered.
      EXPECT_EQ(peer->read(rig.in(1s)).error(), Errc::timed_out);
      (void)write_all(*peer, ws_frame(0x88, {std::byte{0x03}, std::byte{0xe8}}), rig.in(1s));
      auto end = peer->read(rig.in(1s));
      EXPECT_TRUE(end.has_value() && end->empty());
      EXPECT_TRUE(peer->shutdown_write(rig.in(1s)).has_value());
      (void)peer->read(rig.in(1s));
    });
    EXPECT_EQ(reader.read_message(default_max_message, rig.in(1s)).error(), Errc::closed);
  });
}

// The reader has the peer's word that nothing is missing; the close has not seen its end.
TYPED_TEST(WsSession, a_peer_that_goes_behind_its_close_frame_fails_the_close_alone) {
  auto& rig = this->rig_;
  rig.run([&] {
    auto peer = rig.dial_upgraded();
    auto [reader, writer] = split(rig.accept());
    (void)write_all(*peer, ws_frame(0x88, {}), rig.in(1s));
    rig.sleep(1s);
    peer->abort();
    rig.sleep(1s);
    EXPECT_EQ(reader.read_message(default_max_message, rig.in(1s)).error(), Errc::closed);
    EXPECT_EQ(writer.close(5s).error(), Errc::broken);
  });
}

TYPED_TEST(WsSession, an_end_of_the_stream_without_a_close_frame_is_broken) {
  auto& rig = this->rig_;
  rig.run([&] {
    for (const bool cut : {false, true}) {
      auto peer = rig.dial_upgraded();
      auto [reader, writer] = split(rig.accept());
      if (cut) (void)write_all(*peer, Bytes{std::byte{0x88}}, rig.in(1s));  // the start of one
      EXPECT_TRUE(peer->shutdown_write(rig.in(1s)).has_value());
      EXPECT_EQ(reader.read_message(default_max_message, rig.in(1s)).error(), Errc::broken);
    }
  });
}

// Whoever violates the protocol is told by a Close frame, and then dropped without any good-bye of the layer below.
TYPED_TEST(WsSession, a_violation_is_answered_with_its_close_code_and_a_reset) {
  auto& rig = this->rig_;
  rig.run([&] {
    const std::pair<Bytes, unsigned> rude[] = {{ws_frame(0x81, bytes_of("text")), 1003},
                                               {ws_frame(0x83, {}), 1002},
                                               {ws_frame(0x82, Bytes(10)), 1008},
                                               {ws_frame(0x82, Bytes(5000)), 1008},
                                               {ws_frame(0x88, {std::byte{0}}), 1002}};
    for (const auto& [bytes, code] : rude) {
      auto peer = rig.dial_upgraded();
      auto [reader, writer] = split(rig.accept());
      (void)write_all(*peer, bytes, rig.in(1s));
      EXPECT_EQ(reader.read_message(default_max_message, rig.in(1s)).error(), Errc::invalid);
      Bytes got;
      EXPECT_EQ(read_up_to(*peer, got, SIZE_MAX, rig.in(1s)).error(), Errc::broken);
      EXPECT_EQ(got, (Bytes{std::byte{0x88}, std::byte{2}, static_cast<std::byte>(code >> 8),
                            static_cast<std::byte>(code)}));
    }
  });
}

}  // namespace
}  // namespace twinwire::sim
