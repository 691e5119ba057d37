// SPDX-License-Identifier: Apache-2.0
// A WebSocket listener on the Ring and peers that mean it no good, over ws and wss: each costs its own connection and
// one sentence; an honest client is served after each of them.
// ctest: timeout=120 no_tsan
#include "props/bad_ws_bytes.h"
#include "props/laws/test_credentials.h"
#include "props/ring_fixture.h"
#include "transport/tls/tls_stream.h"
#include "transport/ws/ws.h"
#include "transport/wss/wss.h"

namespace twinwire::real {
namespace {

using laws::test_credentials;
using props::ws_head;
using props::ws_upgrade;

constexpr std::string_view refused_400 = "its upgrade was answered 400 Bad Request";
constexpr std::string_view no_message =
    "it sent what is no message, or one that is too large to begin with";

template <class T>
class RingBadWsInput : public RingTest {
 protected:
  static constexpr bool is_secure = std::is_same_v<T, Wss>;

  typename T::Options listening() {
    typename T::Options options;
    if constexpr (is_secure) {
      options.tls.credentials = test_credentials().server->share();
      if (!protocol.empty()) options.tls.alpn = {protocol};
    }
    options.accept.handshake_timeout = milliseconds(400);
    options.accept.on_refused = [this](const Address&, std::string_view why) {
      refused.emplace_back(why);
    };
    options.accept_after_first_message = true;
    return options;
  }
  typename T::Options dialing() {
    typename T::Options options;
    if constexpr (is_secure) {
      options.tls.credentials = test_credentials().client->share();
      options.tls.server_name = laws::test_server_name;
      if (!protocol.empty()) options.tls.alpn = {protocol};
    }
    return options;
  }

  std::unique_ptr<ByteStream> dial_below(const Address& address) {
    auto stream = network->dial(address, {}, soon());
    EXPECT_TRUE(stream.has_value());
    return std::move(*stream);
  }
  // What is written on it the listener takes for WebSocket.
  std::unique_ptr<ByteStream> dial_inside(const Address& address) {
    auto stream = dial_below(address);
    if constexpr (is_secure) {
      auto secured = tls_connect(*network, std::move(stream), dialing().tls, soon());
      EXPECT_TRUE(secured.has_value());
      return std::move(*secured);
    } else {
      return stream;
    }
  }
  void write(ByteStream& stream, const std::string& text) {
    (void)write_all(stream, std::as_bytes(std::span(text)), soon());
  }
  // Reads until the listener has had enough.
  void drain(ByteStream& stream) {
    for (;;) {
      const auto bytes = stream.read(soon());
      if (!bytes || bytes->empty()) return;
    }
  }
  // A byte now and then, until the listener has had enough.
  void trickle(ByteStream& stream, const std::string& text) {
    for (std::size_t i = 0;; ++i) {
      if (!write_all(stream, std::as_bytes(std::span(text).subspan(i % text.size(), 1)), soon()))
        return;
      (void)network->scheduler().sleep_for(milliseconds(20));
      ASSERT_LT(i, 100U) << "the listener waits for ever";
    }
  }

  // The newest sentence, and that nobody else had to suffer.
  void expect(std::string_view why) {
    for (int i = 0; i < 100 && refused.size() == seen; ++i)
      (void)network->scheduler().sleep_for(milliseconds(10));
    ASSERT_EQ(refused.size(), seen + 1) << why;
    EXPECT_EQ(refused.back(), why);
    seen = refused.size();
    auto conn = T::dial(*network, listener->local(), dialing(), soon());
    ASSERT_TRUE(conn.has_value()) << to_string(conn.error());
    auto near = split(std::move(*conn));
    Batch batch(1);
    batch.push(std::move(*MutableMessage::create(network->buffers(), Command::ping, 10)).freeze());
    ASSERT_TRUE(near.second.send_batch(batch, soon()).has_value());
    auto accepted = listener->accept(soon());
    ASSERT_TRUE(accepted.has_value());
    auto far = split(std::move(accepted->first));
    EXPECT_TRUE(far.first.read_message(default_max_message, soon()).has_value());
  }

  template <class F>
  void with_listener(F&& body) {
    run({}, [&](RingNetwork& ring_network, Scope& scope) {
      network = &ring_network;
      {
        auto made = T::listen(ring_network, scope, loopback, listening());
        ASSERT_TRUE(made.has_value());
        listener = &*made;
        body(made->local());
        EXPECT_EQ(made->counters().handshakes_failed, refused.size());
      }
      scope.cancel();
    });
  }

  RingNetwork* network = nullptr;
  typename T::Listener* listener = nullptr;
  std::string protocol;  // of both ends; empty: none is named
  std::vector<std::string> refused;
  std::size_t seen = 0;
};
using RingBadWssInput = RingBadWsInput<Wss>;

struct Names {
  template <class T>
  static std::string GetName(int) {
    return std::string(T::name);
  }
};
using Both = testing::Types<Ws, Wss>;
TYPED_TEST_SUITE(RingBadWsInput, Both, Names);

TYPED_TEST(RingBadWsInput, no_upgrade) {
  this->with_listener([&](const Address& address) {
    const auto send = [&](const std::string& text, std::string_view why) {
      auto stream = this->dial_inside(address);
      this->write(*stream, text);
      this->drain(*stream);
      this->expect(why);
    };
    send(std::string(5000, 'g'), refused_400);
    send(std::string(5000, '\0'), refused_400);
    send("GET / HTTP/1.1\r\nHost: server\r\n\r\n", "its upgrade was answered 426 Upgrade Required");
    send("GET / HTTP/1.1\r\n" + std::string(20'000, 'h'),
         "its upgrade was answered 431 Request Header Fields Too Large");
    send("POST /login HTTP/1.1\r\nHost: server\r\nContent-Length: 4\r\n\r\nuser",
         "its upgrade was answered 405 Method Not Allowed");
  });
}

TYPED_TEST(RingBadWsInput, no_message_behind_the_upgrade) {
  this->with_listener([&](const Address& address) {
    for (const std::string& bytes :
         {ws_head(0x82, std::uint64_t{1} << 40), ws_head(0x82, std::uint64_t{1} << 63),
          ws_head(0x82, 10) + std::string(10, 'x'), ws_head(0x82, 300) + std::string(300, '\xff'),
          ws_head(0x81, 5) + "hello", ws_head(0x82, 300, false), ws_head(0xf2, 300),
          std::string(5000, 'g')}) {
      auto stream = this->dial_inside(address);
      this->write(*stream, ws_upgrade() + bytes);
      this->drain(*stream);
      this->expect(no_message);
    }
    {  // and one that leaves in the middle of it
      auto stream = this->dial_inside(address);
      this->write(*stream, ws_upgrade() + ws_head(0x82, 300) + "cut");
      EXPECT_TRUE(stream->read(this->soon()).has_value());  // the answer to the upgrade
    }
    this->expect("it ended the connection before its first message was whole");
  });
}

TYPED_TEST(RingBadWsInput, upgrades_that_never_end) {
  this->with_listener([&](const Address& address) {
    this->trickle(*this->dial_inside(address), ws_upgrade());
    this->expect("handshake timed out");
    {  // mute from the start, and mute after the upgrade
      auto mute = this->dial_below(address);
      this->drain(*mute);
      this->expect("handshake timed out");
      auto later = this->dial_inside(address);
      this->write(*later, ws_upgrade());
      this->drain(*later);
      this->expect("handshake timed out");
    }
    if constexpr (TestFixture::is_secure) {
      this->trickle(*this->dial_below(address), std::string("\x16\x03\x01\x01", 4));
      this->expect("handshake timed out");
    }
  });
}

// What `serve` has no option for.
TEST_F(RingBadWssInput, another_application_protocol) {
  protocol = "ours";
  with_listener([&](const Address& address) {
    WssOptions options = dialing();
    options.tls.alpn = {"theirs"};
    const auto conn = Wss::dial(*network, address, options, soon());
    ASSERT_FALSE(conn.has_value());
    EXPECT_EQ(conn.error(), Error{Errc::handshake});
    expect("no common application protocol");
  });
}

TYPED_TEST(RingBadWsInput, the_other_kind_of_client) {
  this->with_listener([&](const Address& address) {
    using Other = std::conditional_t<TestFixture::is_secure, Ws, Wss>;
    typename Other::Options options;
    if constexpr (requires { options.tls; })
      options.tls.credentials = test_credentials().client->share();
    auto conn = Other::dial(*this->network, address, options, this->soon());
    EXPECT_EQ(conn.error(), Error{Errc::handshake});
    this->expect(TestFixture::is_secure ? "not a TLS record" : refused_400);
    if constexpr (TestFixture::is_secure) {
      auto stream = this->dial_below(address);
      this->write(*stream, std::string(5000, '\x17'));
      this->drain(*stream);
      this->expect("not a TLS record");
    }
  });
}

}  // namespace
}  // namespace twinwire::real
