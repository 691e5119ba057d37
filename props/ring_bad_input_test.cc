// SPDX-License-Identifier: Apache-2.0
// A listener on the Ring and what `serve` has no option for: a protocol name that does not fit, a handshake that
// trickles, and a TLS session that is used to send no frame. Each costs its own connection; the next is accepted.
// ctest: timeout=120 no_tsan
#include <string>
#include <vector>

#include "props/laws/test_credentials.h"
#include "props/ring_fixture.h"
#include "transport/tls/tls.h"
#include "transport/tls/tls_stream.h"

namespace twinwire::real {
namespace {

using laws::test_certificates;

TlsOptions server_options(std::vector<std::string>& refused) {
  TlsOptions options;
  options.tls.credentials = *TlsCredentials::load({.identities = {test_certificates().server}});
  options.tls.alpn = {"ours"};
  options.accept.handshake_timeout = milliseconds(400);
  options.accept.on_refused = [&](const Address&, std::string_view why) {
    refused.emplace_back(why);
  };
  options.accept_after_first_message = true;
  return options;
}
TlsConfig client_config(const char* alpn) {
  TlsConfig config;
  config.credentials =
      *TlsCredentials::load({.authorities = test_certificates().authority.certificates});
  config.server_name = laws::test_server_name;
  config.alpn = {alpn};
  return config;
}

class RingBadInput : public RingTest {
 protected:
  std::unique_ptr<ByteStream> dial(RingNetwork& network, const Address& address) {
    auto stream = network.dial(address, {}, soon());
    EXPECT_TRUE(stream.has_value());
    return std::move(*stream);
  }
  static std::vector<std::byte> header(std::uint32_t size) {
    std::vector<std::byte> bytes(header_size);
    store(bytes.data() + offset::size, size);
    bytes[offset::command] = std::byte{5};
    return bytes;
  }
  // Reads until the listener has had enough.
  void drain(ByteStream& stream) {
    for (;;) {
      const auto bytes = stream.read(soon());
      if (!bytes || bytes->empty()) return;
    }
  }
  void expect_served(RingNetwork& network, FramedListener& listener) {
    auto stream =
        tls_connect(network, dial(network, listener.local()), client_config("ours"), soon());
    ASSERT_TRUE(stream.has_value());
    ASSERT_TRUE(write_all(**stream, header(header_size), soon()));
    EXPECT_TRUE(listener.accept(soon()).has_value());
  }
};

TEST_F(RingBadInput, each_costs_its_own_connection_and_one_sentence) {
  std::vector<std::string> refused;
  run({}, [&](RingNetwork& network, Scope& scope) {
    {
      auto listener = Tls::listen(network, scope, loopback, server_options(refused));
      ASSERT_TRUE(listener.has_value());
      const Address address = listener->local();
      expect_served(network, *listener);

      auto other = tls_connect(network, dial(network, address), client_config("theirs"), soon());
      ASSERT_FALSE(other.has_value());
      EXPECT_EQ(other.error(), Error{Errc::handshake});
      expect_served(network, *listener);

      {  // a TLS record, a byte at a time, for ever
        auto slow = dial(network, address);
        const std::byte bytes[] = {std::byte{22}, std::byte{3}, std::byte{1}, std::byte{1},
                                   std::byte{0}};
        for (int i = 0; i < 100; ++i) {
          const std::byte one = i < 5 ? bytes[i] : std::byte{1};
          if (!write_all(*slow, {&one, 1}, soon())) break;
          (void)network.scheduler().sleep_for(milliseconds(30));
          EXPECT_LT(i, 90) << "the listener waits for ever";
        }
      }
      expect_served(network, *listener);

      {  // a session that is fine, and a frame that is not
        auto stream = tls_connect(network, dial(network, address), client_config("ours"), soon());
        ASSERT_TRUE(stream.has_value());
        ASSERT_TRUE(write_all(**stream, header(0xffff'ffff), soon()));
        drain(**stream);
      }
      expect_served(network, *listener);
      EXPECT_EQ(listener->counters().handshakes_failed, 3U);
    }
    scope.cancel();
  });
  EXPECT_EQ(refused, (std::vector<std::string>{
                         "no common application protocol", "handshake timed out",
                         "it sent what is no frame, or one that is too large to begin with"}));
}

}  // namespace
}  // namespace twinwire::real
