// SPDX-License-Identifier: Apache-2.0
// `serve --transport quic` and datagrams that mean it no good: noise costs nothing and says nothing, a newcomer who is
// refused costs one line, and thousands of hellos that nobody follows up keep no honest client out.
// ctest: timeout=120 serial no_tsan
#include <poll.h>

#include <memory>
#include <vector>

#include "props/bad_input_rig.h"
#include "props/laws/test_credentials.h"
#include "props/seed_count.h"
#include "real/probe.h"
#include "real/ring.h"
#include "real/ring_network.h"
#include "sim/entropy.h"
#include "transport/quic/quic.h"

namespace twinwire::props {
namespace {

// A client of the library's, as far as a flood needs one: it begins, and proves its address if it is asked to.
struct Hello final : QuicSink {
  void on_handshake_done() override {}
  void on_bytes(QuicStream, std::span<const std::byte>, bool) override {}
  void on_reset(QuicStream) override {}
  void on_acked(QuicStream, std::uint64_t) override {}
  void on_closed(QuicStream, bool) override {}
  void on_refused(QuicStream) override {}
  void on_request_credit() override {}
  void on_cid(const QuicCid& cid, bool added) override {
    if (added) id = cid;
  }
  void on_new_packet() override {}
  std::optional<Piece> next_piece() override { return std::nullopt; }
  void on_written(const Piece&, std::size_t) override {}
  void on_blocked(const Piece&) override {}
  std::uint64_t streams_wanted() override { return 0; }

  QuicCid id;
  std::unique_ptr<QuicEngine> engine;
};

class BadQuic : public BadInput {
 protected:
  void SetUp() override {
    BadInput::SetUp();
    options_.tls.credentials = laws::test_credentials().client->share();
    options_.tls.server_name = laws::test_server_name;
  }
  void TearDown() override {
    if (socket_ >= 0) ::close(socket_);
  }
  void open_socket() {
    socket_ = connect(SOCK_DGRAM);
    ASSERT_GE(socket_, 0);
  }
  std::uint16_t port() const { return address().port; }
  void send(std::span<const std::byte> bytes) const {
    (void)::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  // What came back within the patience, or nothing.
  std::vector<std::byte> receive(std::chrono::milliseconds patience) const {
    pollfd readable{socket_, POLLIN, 0};
    std::vector<std::byte> bytes(2000);
    ssize_t got = 0;
    if (::poll(&readable, 1, static_cast<int>(patience.count())) == 1)
      got = ::recv(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return bytes;
  }

  // A first packet that begins a connection.
  std::vector<std::byte> say(Hello& hello) {
    const QuicPath path{Address::v4(127, 0, 0, 1, 1000), Address::v4(127, 0, 0, 1, port())};
    hello.engine = *QuicEngine::client(options_, random_, {}, path, now(), hello);
    return next_packet(hello);
  }
  std::vector<std::byte> next_packet(Hello& hello) {
    std::vector<std::byte> packet(quic_packet_max);
    QuicFate fate{};
    packet.resize(hello.engine->write(packet, now(), fate).size);
    return packet;
  }
  static TimePoint now() { return {std::chrono::steady_clock::now().time_since_epoch().count()}; }

  void turned_away(const std::string& arguments, const std::string& part) {
    const Ended ended = load("--transport quic " + arguments);
    EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
    expect_refused(part);
  }
  // The server ends well, and has refused so many.
  void finish_flood(std::uint64_t least, std::uint64_t most) {
    EXPECT_GE(refused(), least) << server_->err();
    EXPECT_LE(refused(), most) << server_->err();
    EXPECT_LE(lines().size(), 250U);
    lines_ = lines().size();
    finish(refused());
  }

  QuicOptions options_;
  sim::SeededRandom random_{42};
  int socket_ = -1;
};

TEST_F(BadQuic, noise_costs_nothing_and_says_nothing) {
  serve("quic");
  open_socket();
  begin();
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::byte> noise(1 + random_.next() % 1400);
    random_.fill(noise);
    send(noise);
  }
  // The beginning of an honest hello, cut off at many places, and with each of its first bytes flipped.
  Hello hello;
  const std::vector<std::byte> packet = say(hello);
  ASSERT_GE(packet.size(), 1200U);
  for (std::size_t size = 1; size < packet.size(); size += 7) send(std::span(packet).first(size));
  honest();
  // A version that nobody speaks is answered with those that we do.
  std::vector<std::byte> other = packet;
  std::fill_n(other.begin() + 1, 4, std::byte{0x5a});
  while (!receive(10ms).empty()) {}
  send(other);
  const std::vector<std::byte> answer = receive(2000ms);
  ASSERT_GE(answer.size(), 7U);
  EXPECT_TRUE(std::all_of(answer.begin() + 1, answer.begin() + 5, [](std::byte b) {
    return b == std::byte{0};
  })) << "no version negotiation";
  honest();
  finish(0);
}

TEST_F(BadQuic, who_is_refused_costs_one_line) {
  serve("quic", "--cert server.cert --key server.key --ca ca");
  mutual_ = true;
  begin();
  const std::string name = " --server-name " + server_name();
  turned_away("--ca ca --cert expired.cert --key expired.key" + name, "certificate expired");
  turned_away("--ca ca --cert forged.cert --key forged.key" + name,
              "certificate with a wrong signature");
  turned_away("--ca ca" + name, "no certificate shown");
  turned_away("--ca strange-ca" + name, "the peer refused: CA is unknown");
  turned_away("--ca ca --server-name other.test", "the peer refused: ");
  // Who speaks TCP there finds nobody.
  EXPECT_EQ(load("--transport tcp").exit_code, 6);
  finish(5);
}

TEST_F(BadQuic, a_server_with_an_expired_certificate_says_why_nobody_comes) {
  serve("quic", "--cert expired.cert --key expired.key");
  turned_away("--ca ca --server-name " + std::string(laws::test_server_name),
              "the peer refused: Certificate is expired");
}

// What `load` has no option for: another protocol's name, and a stream that holds no frame.
TEST_F(BadQuic, another_protocol_and_what_is_no_frame) {
  serve("quic");
  const auto on_ring = [&](const QuicOptions& options, const auto& body) {
    auto ring = real::Ring::create({});
    ASSERT_TRUE(ring) << real::explain_no_ring(ring.error());
    real::RingNetwork network(**ring);
    Scope root((*ring)->scheduler());
    root.spawn("main", [&] {
      auto conn =
          Quic::dial(network, Address::v4(127, 0, 0, 1, port()), options, network.clock().in(10s));
      body(network, std::move(conn));
    });
    EXPECT_EQ((*ring)->scheduler().run(), Scheduler::Outcome::finished);
    root.rethrow_failure();
  };
  begin();
  QuicOptions other = options_;
  other.tls.alpn = {"h3"};
  on_ring(other, [](Network&, Result<QuicConn> conn) {
    EXPECT_TRUE(!conn && conn.error() == Errc::handshake);
  });
  expect_refused("no common application protocol");
  for (const std::string& bytes : {std::string(300, 'g'), frame_of_size(default_max_message + 1),
                                   frame_of_size(header_size - 1)}) {
    on_ring(options_, [&](Network& network, Result<QuicConn> conn) {
      ASSERT_TRUE(conn) << to_string(conn.error());
      auto [reader, writer] = split(std::move(*conn));
      Block* block = network.buffers().allocate(bytes.size());
      std::copy_n(reinterpret_cast<const std::byte*>(bytes.data()), bytes.size(), block->data);
      Batch batch(1);
      batch.push(Message(Slice(block, block->data, bytes.size())));
      ASSERT_TRUE(writer.send_batch(batch, network.clock().in(10s)));
      EXPECT_EQ(reader.read_message(default_max_message, network.clock().in(10s)).error(),
                Errc::broken);
    });
    expect_refused("it sent what is no message, or one that is too large to begin with");
    honest();
  }
  finish(4);
}

// One hello a datagram, thousands of them, and nothing after it: beyond the first they are asked to prove their
// address, and nothing is remembered of them.
TEST_F(BadQuic, hellos_that_nobody_follows_up) {
  serve("quic");
  open_socket();
  begin();
  const std::size_t before = server_->resident();
  const std::uint64_t many = seed_count(10'000, 1000);
  for (std::uint64_t i = 0; i < many; ++i) {
    Hello hello;
    send(say(hello));
  }
  honest();
  EXPECT_LT(server_->resident(), before + 200'000'000);
  // Those that are remembered time out.
  const std::uint64_t remembered = QuicOptions().retry_from;
  wait_for([&] { return refused() >= remembered; });
  EXPECT_NE(server_->err().find("refused: handshake timed out"), std::string::npos)
      << server_->err();
  finish_flood(remembered, many);
}

// The same by clients that prove their address when they are asked to, and then say no more: each is remembered until
// its time is up.
TEST_F(BadQuic, handshakes_that_stop_half_way) {
  serve("quic");
  open_socket();
  const std::size_t many = seed_count(1500, 400);
  begin();
  const std::size_t before = server_->resident();
  const QuicPath path{Address::v4(127, 0, 0, 1, 1000), Address::v4(127, 0, 0, 1, port())};
  std::size_t proved = 0;
  for (std::size_t i = 0; i < many; ++i) {
    Hello hello;
    send(say(hello));
    // Until the server has said its hello; what it repeats for others does not count.
    for (;;) {
      const std::vector<std::byte> answer = receive(2000ms);
      ASSERT_FALSE(answer.empty()) << "hello " << i << " was not answered";
      if (describe_quic_datagram(answer).header.destination != hello.id) continue;
      const bool retry = (answer[0] & std::byte{0xf0}) == std::byte{0xf0};
      if (!retry) break;
      ASSERT_EQ(hello.engine->read(path, Ecn::not_ect, answer, now()), QuicFate::alive);
      send(next_packet(hello));
      ++proved;
    }
  }
  EXPECT_GE(proved, many - 200) << "few were asked to prove anything";
  honest();
  const std::size_t each = (server_->resident() - before) / many;
  EXPECT_LT(each, 250'000U) << "bytes for an unfinished handshake";
  wait_for([&] { return refused() >= many; });
  finish_flood(many, many);
}

}  // namespace
}  // namespace twinwire::props
