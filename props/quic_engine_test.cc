// SPDX-License-Identifier: Apache-2.0
// The QUIC engine alone: two of them in memory, without a socket, a fiber or a clock.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "props/deaf_quic_sink.h"
#include "props/laws/test_credentials.h"
#include "sim/sim_network.h"
#include "sim/world.h"
#include "transport/quic/quic_engine.h"

namespace twinwire {
namespace {

struct Side final : props::DeafQuicSink {
  bool done = false;
  bool blocked = false;
  std::map<std::uint64_t, std::string> received;
  std::map<std::uint64_t, bool> ended;
  std::vector<std::string> out;
  std::size_t stream = 0;
  std::size_t written = 0;
  std::size_t all_acked = 0;
  std::unique_ptr<QuicEngine> engine;

  void on_handshake_done() override { done = true; }
  void on_bytes(QuicStream from, std::span<const std::byte> bytes, bool end) override {
    received[from.number].append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (end) ended[from.number] = true;
  }
  void on_closed(QuicStream, bool complete) override { all_acked += complete ? 1 : 0; }
  void on_new_packet() override { blocked = false; }
  void on_blocked(const Piece&) override { blocked = true; }
  std::optional<Piece> next_piece() override {
    if (!done || blocked || stream == out.size()) return std::nullopt;
    return Piece{{.number = stream}, std::as_bytes(std::span(out[stream])).subspan(written), true};
  }
  std::uint64_t streams_wanted() override { return done ? out.size() : 0; }
  void on_written(const Piece& piece, std::size_t n) override {
    written += n;
    if (n == piece.bytes.size()) {
      ++stream;
      written = 0;
    }
  }
};

using Packets = std::deque<std::vector<std::byte>>;

void flush(Side& side, TimePoint now, Packets& to) {
  for (;;) {
    std::vector<std::byte> packet(quic_packet_max);
    QuicFate fate{};
    const QuicPacket written = side.engine->write(packet, now, fate);
    ASSERT_EQ(fate, QuicFate::alive);
    if (written.size == 0) break;
    packet.resize(written.size);
    to.push_back(packet);
  }
  side.engine->end_burst(now);
}

TEST(QuicEngine, two_engines_shake_hands_and_exchange_messages_in_memory) {
  StackPool stacks;
  sim::WorldOptions world_options;
  world_options.seed = 7;
  sim::World world(world_options, stacks);
  Random& random = world.add_node("a").random();
  QuicOptions serving;
  QuicOptions dialing;
  serving.tls.credentials = laws::test_credentials().server;
  dialing.tls.credentials = laws::test_credentials().client;
  dialing.tls.server_name = laws::test_server_name;

  const Address here = Address::v4(10, 0, 0, 1, 1000);
  const Address there = Address::v4(10, 0, 0, 2, 2000);
  TimePoint now{0};
  Side client;
  Side server;
  for (int i = 0; i < 20; ++i) client.out.push_back(std::string(300 * i + 1, 'a' + i));
  for (int i = 0; i < 5; ++i) server.out.push_back(std::string(100'000 * i + 1, 'A' + i));
  client.engine = *QuicEngine::client(dialing, random, {}, {here, there}, now, client);
  Packets up;
  Packets down;
  flush(client, now, up);
  ASSERT_FALSE(up.empty());
  const QuicDatagram first = describe_quic_datagram(up.front());
  ASSERT_EQ(first.kind, QuicKind::initial);
  server.engine =
      *QuicEngine::server(serving, random, {}, {there, here}, first.header, now, server);
  for (int round = 0; round < 1000; ++round) {
    now = now + std::chrono::milliseconds(1);
    for (; !up.empty(); up.pop_front())
      ASSERT_EQ(server.engine->read({there, here}, Ecn::not_ect, up.front(), now), QuicFate::alive);
    flush(server, now, down);
    for (; !down.empty(); down.pop_front())
      ASSERT_EQ(client.engine->read({here, there}, Ecn::not_ect, down.front(), now),
                QuicFate::alive)
          << client.engine->cause();
    flush(client, now, up);
    for (Side* side : {&client, &server})
      if (side->engine->expiry() <= now) {
        ASSERT_EQ(side->engine->expire(now), QuicFate::alive);
      }
    if (client.all_acked == 20 && server.all_acked == 5) break;
  }
  EXPECT_TRUE(client.done && server.done);
  EXPECT_EQ(client.all_acked, 20U);
  EXPECT_EQ(server.all_acked, 5U);
  for (std::size_t i = 0; i < client.out.size(); ++i) EXPECT_EQ(server.received[i], client.out[i]);
  for (std::size_t i = 0; i < server.out.size(); ++i) EXPECT_EQ(client.received[i], server.out[i]);

  std::vector<std::byte> packet(quic_packet_max);
  const QuicPacket farewell = client.engine->close(packet, QuicCode::finished, now);
  ASSERT_GT(farewell.size, 0U);
  packet.resize(farewell.size);
  EXPECT_EQ(server.engine->read({there, here}, Ecn::not_ect, packet, now), QuicFate::peer_finished);
}

}  // namespace
}  // namespace twinwire
