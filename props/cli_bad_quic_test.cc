// SPDX-License-Identifier: Apache-2.0
// `serve` over quic, and peers that mean it no good. A datagram has no connection yet that it could cost: what must
// hold is that it costs no other, and that of each newcomer there is one line.
// ctest: timeout=240 real_time no_tsan
#include <poll.h>

#include "props/bad_input_rig.h"
#include "props/quic_newcomer.h"
#include "props/seed_count.h"
#include "sim/entropy.h"
#include "transport/quic/quic.h"

namespace twinwire::props {
namespace {

constexpr std::size_t memory_of_one = memory_factor * 192 * 1024;

bool is_retry(const std::string& datagram) {
  return !datagram.empty() && (datagram[0] & 0xf0) == 0xf0;
}

class BadQuicInput : public BadInput {
 protected:
  // A socket of its own: another peer, to the server.
  class Peer {
   public:
    explicit Peer(const BadQuicInput& rig) : socket_(rig.connect(SOCK_DGRAM)) {}
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;
    ~Peer() { ::close(socket_); }
    void send(const std::string& datagram) const {
      (void)::send(socket_, datagram.data(), datagram.size(), MSG_NOSIGNAL);
    }
    // The next datagram that comes for the connection that `to` began; empty: none came.
    std::string answer_to(const std::string& to, std::chrono::milliseconds patience) const {
      const QuicCid ours = describe_quic_datagram(bytes_of(to)).header.source;
      pollfd wait{socket_, POLLIN, 0};
      while (::poll(&wait, 1, static_cast<int>(patience.count())) == 1) {
        std::string datagram(2000, '\0');
        const ssize_t n = ::recv(socket_, datagram.data(), datagram.size(), 0);
        if (n <= 0) return {};
        datagram.resize(static_cast<std::size_t>(n));
        if (describe_quic_datagram(bytes_of(datagram)).header.destination == ours) return datagram;
      }
      return {};
    }
    // Asks again where a datagram was lost: a socket's buffer is soon full.
    std::string ask(const std::string& datagram) const {
      std::string answer;
      for (int i = 0; answer.empty() && i < 20; ++i) {
        send(datagram);
        answer = answer_to(datagram, 500ms);
      }
      return answer;
    }

   private:
    int socket_;
  };
  void send_once(const std::string& datagram) { Peer(*this).send(datagram); }

  // Dials as `spoil` likes, and then does what `then` likes. Returns how the dial ended.
  template <class F>
  Result<void> dial(const std::function<void(QuicOptions&)>& spoil, F&& then) {
    const auto ring = cli::open_ring();
    real::RingNetwork network(*ring);
    Scope root(ring->scheduler());
    Result<void> ended;
    root.spawn("dial", [&] {
      QuicOptions options;
      options.tls.credentials = laws::test_credentials().client->share();
      options.tls.server_name = laws::test_server_name;
      spoil(options);
      auto conn = Quic::dial(network, address(), options, network.clock().in(20s));
      if (!conn) {
        ended = conn.error();
        return;
      }
      then(network, std::move(*conn));
    });
    (void)ring->scheduler().run();
    return ended;
  }
  // Sends these requests on a connection of its own, each with its header as `spoil` likes, and reads until the server
  // has had enough.
  void send_messages(std::size_t good, std::size_t size, void (*spoil)(MutableMessage&)) {
    const auto done =
        dial([](QuicOptions&) {},
             [&](Network& network, QuicConn conn) {
               auto [reader, writer] = split(std::move(conn));
               Batch batch;
               for (std::size_t i = 0; i < good; ++i)
                 batch.push(*cli::make_request(network.buffers(), i, header_size, false));
               auto bad =
                   MutableMessage::create(network.buffers(), Command::request, size - header_size);
               spoil(*bad);
               batch.push(std::move(*bad).freeze());
               (void)writer.send_batch(batch, network.clock().in(20s));
               while (reader.read_message(default_max_message, network.clock().in(20s))) {}
             });
    EXPECT_TRUE(done);
  }
};

TEST_F(BadQuicInput, datagrams_that_are_no_quic) {
  serve("quic");
  begin();
  const auto garbage = [&](const std::string& datagram, const std::string& why) {
    const Peer peer(*this);
    for (int i = 0; i < 100; ++i) peer.send(datagram);  // of one peer, once is enough
    expect_refused(why);
  };
  garbage(std::string(1200, '\0'), "not a QUIC packet");
  garbage("?", "not a QUIC packet");
  garbage(std::string(1200, '?'), "not a QUIC packet");
  garbage(std::string("\xc3\0\0\0\1", 5), "not a QUIC packet");  // a long header that is cut off
  // DTLS
  garbage(std::string("\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x10", 13) + std::string(300, 'd'),
          "not a QUIC packet");
  // It looks like the packet of a connection, and is answered as such by a stateless reset.
  garbage(std::string(http_request), "a packet of no connection that is here");
  finish(6);
}

TEST_F(BadQuicInput, noise_is_one_line_for_each_who_makes_it) {
  serve("quic");
  begin();
  sim::SeededRandom random(42);
  for (int i = 0; i < 5; ++i) {
    const Peer peer(*this);
    for (int k = 0; k < 400; ++k) {
      std::string noise(1 + random.next() % 1400, '\0');
      random.fill(std::as_writable_bytes(std::span(noise)));
      peer.send(noise);
    }
    // The beginning of an honest hello, cut off at many places.
    const std::string hello = QuicNewcomer(static_cast<std::uint64_t>(i)).next();
    for (std::size_t size = 1; size < 1200; size += 7) peer.send(hello.substr(0, size));
    expect_refused("");
  }
  honest();
  finish(5);
}

TEST_F(BadQuicInput, first_packets_that_are_spoilt) {
  serve("quic");
  begin();
  const std::string good = QuicNewcomer(1).next();
  ASSERT_GE(good.size(), 1200U);

  std::string changed = QuicNewcomer(2).next();
  changed[600] = static_cast<char>(changed[600] ^ 1);
  send_once(changed);
  expect_refused("its first packet cannot be decrypted");

  std::string other_version = QuicNewcomer(3).next();
  other_version[1] = 0x5a;
  const std::string versions = Peer(*this).ask(other_version);
  ASSERT_GE(versions.size(), 7U);
  EXPECT_EQ(versions.substr(1, 4), std::string(4, '\0')) << "no version negotiation";

  // Which is no offence: an honest client comes back with another version.
  const Peer brief(*this);
  brief.send(other_version.substr(0, 300));
  expect_refused("not a QUIC packet");
  brief.send(good.substr(0, 1100));  // one line for each peer has to do

  send_once(good.substr(0, 1100));
  expect_refused("its first packet is none that may begin a connection");
  send_once(good.substr(0, 10));
  expect_refused("not a QUIC packet");
  finish(4);
}

TEST_F(BadQuicInput, clients_that_do_not_fit) {
  mutual_ = true;
  serve("quic", "--cert server.cert --key server.key --ca ca");
  begin();
  strangers();
  EXPECT_FALSE(
      dial([](QuicOptions& options) { options.tls.alpn = {"mail"}; }, [](Network&, QuicConn) {}));
  expect_refused("no common application protocol");
  finish(6);
}

TEST_F(BadQuicInput, messages_that_are_none) {
  serve("quic");
  begin();
  const auto too_large = [](MutableMessage& message) {
    store(message.bytes().data() + offset::size, std::uint32_t{default_max_message + 1});
  };
  const auto nonsense = [](MutableMessage& message) {
    std::fill(message.bytes().begin(), message.bytes().end(), std::byte{'g'});
  };
  send_messages(0, 5000, nonsense);
  expect_refused("it sent what is no message, or one that is too large to begin with");
  send_messages(0, 5000, too_large);
  expect_refused("it sent what is no message, or one that is too large to begin with");
  send_messages(1, 5000, too_large);
  expect_line("lost after 1 messages: it sent what is no frame, or one that is too large");
  send_messages(0, default_max_message + 1, [](MutableMessage&) {});
  expect_refused("it sent what is no message, or one that is too large to begin with");
  finish(3, 1);
}

// Ten thousand first packets, each of another client, and nothing after them. From some number on the server asks for
// a proof of the address (Retry) and keeps nothing. A packet that comes again and again counts once.
TEST_F(BadQuicInput, ten_thousand_half_open_handshakes) {
  const std::uint64_t many = seed_count(10'000, 1000);
  serve("quic");
  begin();
  const Peer peer(*this);
  const Peer parrot(*this);
  const std::string hello = QuicNewcomer(many).next();
  EXPECT_FALSE(parrot.ask(hello).empty());
  for (int i = 0; i < 100; ++i) parrot.send(hello);
  for (int i = 0; i < 100; ++i) send_once(hello);  // from elsewhere
  const std::size_t before = server_->resident();
  std::uint64_t retries = 0;
  for (std::uint64_t i = 0; i < many; ++i) {
    const std::string answer = peer.ask(QuicNewcomer(i).next());
    ASSERT_FALSE(answer.empty()) << "no answer to the " << i << "th";
    if (is_retry(answer)) ++retries;
    if (i == many / 2) honest();
  }
  EXPECT_GE(retries, many - 200);
  EXPECT_LT(server_->resident() - before, 200 * memory_of_one);
  std::printf("%lu of %lu had to prove their address; %zu KiB held\n", retries, many,
              (server_->resident() - before) / 1024);
  expect_sum(many - retries + 1);
  finish(many - retries + 1);
}

// And clients that prove it, then fall silent; one proves another's.
TEST_F(BadQuicInput, ten_thousand_half_open_handshakes_from_where_they_say) {
  const std::uint64_t many = seed_count(10'000, 1000);
  serve("quic");
  begin();
  const Peer peer(*this);
  const std::size_t before = server_->resident();
  for (std::uint64_t i = 0; i <= many; ++i) {
    QuicNewcomer client(i);
    std::string answer = peer.ask(client.next());
    if (is_retry(answer)) {
      client.hear(answer);
      const std::string proven = client.next();
      if (i == many)
        send_once(proven);
      else
        answer = peer.ask(proven);
    }
    ASSERT_FALSE(answer.empty()) << "no answer to the " << i << "th";
    if (i == many / 2) honest();
  }
  const std::size_t each = (server_->resident() - before) / many;
  EXPECT_LT(each, memory_of_one);
  std::printf("%zu bytes for each\n", each);
  expect_sum(many + 1);
  EXPECT_NE(server_->err().find("a token that is not its own, or too old"), std::string::npos);
  finish(many + 1);
}

}  // namespace
}  // namespace twinwire::props
