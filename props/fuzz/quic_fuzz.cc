// SPDX-License-Identifier: Apache-2.0
// What a QUIC endpoint does with a datagram. Input: a byte that chooses, then
//
//   0   datagrams that nobody encrypted, each behind two bytes of length: described, and where one may begin a
//       connection, given to a server with those that follow
//   1   what happens to the datagrams of a client and a server that talk: for each, by one byte, it arrives, is lost,
//       comes twice, is cut, or has a byte changed (two bytes more)
//
// Holds for all: a description points into its datagram; the same input gives the same packets; a packet has room
// where it is written; before the peer has proved its address a server sends no more than three times what it got (RFC
// 9000, section 8.1); no byte of a message comes before the handshake, and what comes is what was sent; a connection
// that failed has at most one packet more to say.
#include <deque>
#include <map>

#include "props/deaf_quic_sink.h"
#include "props/fuzz/fuzz.h"
#include "props/laws/test_credentials.h"
#include "sim/entropy.h"
#include "transport/quic/quic_engine.h"

namespace twinwire::fuzz {
namespace {

const QuicPath client_path{Address::v4(10, 0, 0, 1, 1000), Address::v4(10, 0, 0, 2, 2000)};
const QuicPath server_path{Address::v4(10, 0, 0, 2, 2000), Address::v4(10, 0, 0, 1, 1000)};
constexpr std::string_view text = "a message of a few words, as many say it";

// Drawn from a seed; the time that GnuTLS reads is the machine's: libFuzzer's own clock would stand still with it.
struct Side final : props::DeafQuicSink {
  explicit Side(std::uint64_t seed) : random(seed) {}

  void on_handshake_done() override { done = true; }
  void on_bytes(QuicStream from, std::span<const std::byte> bytes, bool end) override {
    const std::uint64_t number = from.number;
    FUZZ_CHECK(from.carries_messages(), "the peer was allowed no requests");
    FUZZ_CHECK(done, "no byte of a message comes before the handshake");
    FUZZ_CHECK(number < 4 && !ended[number], "a stream that the peer opened, and has not ended");
    received[number].append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    ended[number] = end;
  }
  void on_cid(const QuicCid& cid, bool) override {
    FUZZ_CHECK(cid.size <= cid.bytes.size(), "an id has at most 20 bytes");
  }
  void on_new_packet() override { blocked = false; }
  void on_blocked(const Piece&) override { blocked = true; }
  std::optional<Piece> next_piece() override {
    if (!done || blocked || stream == streams) return std::nullopt;
    return Piece{{.number = stream}, std::as_bytes(std::span(text)).subspan(written), true};
  }
  std::uint64_t streams_wanted() override { return done ? streams : 0; }
  void on_written(const Piece& piece, std::size_t n) override {
    written += n;
    if (n != piece.bytes.size()) return;
    ++stream;
    written = 0;
  }

  void read(const QuicPath& path, std::span<const std::byte> datagram, TimePoint now) {
    if (fate != QuicFate::alive) return;
    got += datagram.size();
    fate = engine->read(path, Ecn::not_ect, datagram, now);
    if (fate != QuicFate::failed) return;  // to the others nothing is said
    std::array<std::byte, quic_packet_max> room;
    const std::size_t n = engine->close(room, QuicCode::violation, now).size;
    FUZZ_CHECK(n <= room.size(), "a packet has room");
    FUZZ_CHECK(!engine->cause().empty(), "a failure has words");
  }
  void flush(TimePoint now, std::deque<Bytes>& to) {
    if (fate != QuicFate::alive) return;
    for (int packets = 0; fate == QuicFate::alive; ++packets) {
      FUZZ_CHECK(packets < 200, "a burst ends");
      Bytes packet(quic_packet_max);
      const QuicPacket out = engine->write(packet, now, fate);
      if (fate != QuicFate::alive || out.size == 0) break;
      FUZZ_CHECK(out.size <= packet.size(), "a packet has room");
      packet.resize(out.size);
      sent += out.size;
      append(said, packet);
      to.push_back(std::move(packet));
    }
    if (fate == QuicFate::alive) engine->end_burst(now);
  }

  // As when it has to make room.
  void drop(TimePoint now) {
    if (engine == nullptr || fate != QuicFate::alive) return;
    std::array<std::byte, quic_packet_max> room;
    FUZZ_CHECK(engine->close(room, QuicCode::dropped, now).size <= room.size(),
               "a packet has room");
  }

  sim::SeededRandom random;
  bool done = false;
  bool blocked = false;
  QuicFate fate = QuicFate::alive;
  std::uint64_t streams = 0;
  std::uint64_t stream = 0;
  std::size_t written = 0;
  std::size_t got = 0;
  std::size_t sent = 0;
  Bytes said;
  std::map<std::uint64_t, std::string> received;
  std::map<std::uint64_t, bool> ended;
  std::unique_ptr<QuicEngine> engine;
};

QuicOptions options(bool server) {
  QuicOptions made;
  const laws::TestCredentials& known = laws::test_credentials();
  made.tls.credentials = (server ? known.server : known.client)->share();
  made.tls.server_name = laws::test_server_name;
  return made;
}

QuicDatagram described(std::span<const std::byte> datagram) {
  const QuicDatagram what = describe_quic_datagram(datagram);
  const auto token = what.header.token;
  FUZZ_CHECK(token.empty() || (token.data() >= datagram.data() &&
                               token.data() + token.size() <= datagram.data() + datagram.size()),
             "a token lies in its datagram");
  FUZZ_CHECK(what.header.destination.size <= 20 && what.header.source.size <= 20,
             "an id has at most 20 bytes");
  if (what.kind == QuicKind::initial)
    FUZZ_CHECK(what.long_header && datagram.size() >= 1200,
               "an Initial is padded (RFC 9000, 14.1)");
  std::array<std::byte, quic_packet_max> room;
  sim::SeededRandom random(5);
  if (what.kind == QuicKind::unknown_version)
    FUZZ_CHECK(write_version_negotiation(room, what, random) <= datagram.size(),
               "an answer is not larger than the question");
  if (what.kind == QuicKind::initial) {
    QuicInitial initial = what.header;
    FUZZ_CHECK(!verify_retry_token(initial, server_path.remote, {}, {}),
               "a token cannot be forged");
    FUZZ_CHECK(
        write_retry(room, what.header, server_path.remote, {}, random, {}) <= datagram.size(),
        "an answer is not larger than the question");
  }
  if (what.kind == QuicKind::other)
    FUZZ_CHECK(write_stateless_reset(room, what.header.destination, datagram.size(), {}, random) <
                   std::max<std::size_t>(datagram.size(), 1),
               "a reset is smaller than what it answers (RFC 9000, 10.3.3)");
  return what;
}

Result<std::unique_ptr<QuicEngine>> server_for(Side& side, const QuicInitial& initial,
                                               TimePoint now) {
  return QuicEngine::server(options(true), side.random, {}, server_path, initial, now, side);
}

// Returns everything that the server said.
Bytes raw(Input input) {
  Side server(1);
  std::deque<Bytes> answers;
  TimePoint now{0};
  while (!input.empty()) {
    const std::size_t n = input.word();
    const auto datagram = input.take(n);
    if (datagram.empty()) continue;  // the endpoint hands none on; ngtcp2 would abort
    const QuicDatagram what = described(datagram);
    if (server.engine == nullptr) {
      if (what.kind != QuicKind::initial) continue;
      auto engine = server_for(server, what.header, now);
      if (!engine) continue;
      server.engine = std::move(*engine);
    }
    now = now + std::chrono::milliseconds(1);
    server.read(server_path, datagram, now);
    server.flush(now, answers);
    FUZZ_CHECK(server.sent <= 3 * server.got, "no more than three times what came");
  }
  FUZZ_CHECK(!server.done, "nobody is done without the other's keys");
  server.drop(now);
  return server.said;
}

// One datagram's way.
void travel(Input& input, std::deque<Bytes>& from, const std::function<void(const Bytes&)>& to) {
  for (; !from.empty(); from.pop_front()) {
    Bytes& datagram = from.front();
    switch (input.byte() % 8) {
      case 1: continue;
      case 2: to(datagram); break;
      case 3: datagram.resize(1 + input.word() % datagram.size()); break;
      case 4: {
        const std::size_t at = input.word() % datagram.size();
        datagram[at] ^= static_cast<std::byte>(input.byte());
        break;
      }
      default: break;
    }
    to(datagram);
  }
}

Bytes talk(Input input) {
  Side client(2);
  Side server(3);
  client.streams = 3;
  server.streams = 1;
  TimePoint now{0};
  client.engine = *QuicEngine::client(options(false), client.random, {}, client_path, now, client);
  std::deque<Bytes> up;
  std::deque<Bytes> down;
  for (int round = 0; round < 25; ++round) {
    client.flush(now, up);
    travel(input, up, [&](const Bytes& datagram) {
      const QuicDatagram what = described(datagram);
      if (server.engine == nullptr && what.kind == QuicKind::initial)
        if (auto engine = server_for(server, what.header, now)) server.engine = std::move(*engine);
      if (server.engine != nullptr) server.read(server_path, datagram, now);
    });
    if (server.engine != nullptr) {
      server.flush(now, down);
      // Whoever has heard the server can prove its address by a Handshake packet.
      FUZZ_CHECK(client.got != 0 || server.sent <= 3 * server.got,
                 "no more than three times what came");
    }
    travel(input, down, [&](const Bytes& datagram) { client.read(client_path, datagram, now); });
    now = now + std::chrono::milliseconds(400);
    for (Side* side : {&client, &server})
      if (side->engine != nullptr && side->fate == QuicFate::alive && side->engine->expiry() <= now)
        side->fate = side->engine->expire(now);
  }
  client.drop(now);
  server.drop(now);
  for (const Side* side : {&client, &server})
    for (const auto& [number, message] : side->received)
      FUZZ_CHECK(text.starts_with(message), "what comes is what was sent");
  append(client.said, server.said);
  return client.said;
}

Bytes first_flight() {
  Side client(7);
  client.engine =
      *QuicEngine::client(options(false), client.random, {}, client_path, TimePoint{0}, client);
  std::deque<Bytes> up;
  client.flush(TimePoint{0}, up);
  return up.front();
}

}  // namespace

std::vector<Bytes> seeds() {
  std::vector<Bytes> all;
  const auto add = [&](const std::vector<Bytes>& datagrams) {
    Bytes seed{std::byte{0}};
    for (const Bytes& one : datagrams) {
      seed.push_back(static_cast<std::byte>(one.size() & 0xff));
      seed.push_back(static_cast<std::byte>(one.size() >> 8));
      append(seed, one);
    }
    all.push_back(seed);
  };
  const Bytes initial = first_flight();
  add({initial});
  add({initial, initial, Bytes(40, std::byte{0x41})});
  Bytes other = initial;
  other[1] = std::byte{0xff};  // another version
  add({other});
  other[5] = std::byte{40};  // whose ids may be longer than ours
  add({other});
  add({Bytes(100, std::byte{0x40}), Bytes(1200, std::byte{0xc0}), Bytes(20)});
  for (const int what : {0, 1, 2, 3, 4}) {
    Bytes seed{std::byte{1}};
    for (int i = 0; i < 4; ++i)
      append(seed, Bytes{static_cast<std::byte>(what), std::byte{77}, std::byte{0}});
    all.push_back(seed);
  }
  return all;
}

}  // namespace twinwire::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace twinwire::fuzz;
  if (size == 0) return 0;
  const auto run = [&] {
    Input input(data, size);
    return (input.byte() & 1) != 0 ? talk(input) : raw(input);
  };
  FUZZ_CHECK(run() == run(), "the same input gives the same packets");
  return 0;
}
