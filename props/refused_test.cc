// SPDX-License-Identifier: Apache-2.0
// AcceptOptions::on_refused: once for each newcomer that is turned away, with the cause in words; as often as
// handshakes_failed counts; and never after the listener has gone.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "props/laws/test_credentials.h"
#include "sim/sim_network.h"
#include "transport/quic/quic.h"
#include "transport/tcp/tcp.h"
#include "transport/tls/tls.h"
#include "transport/ws/ws.h"

namespace twinwire {
namespace {

using laws::test_certificates;
using std::chrono::milliseconds;
using std::chrono::seconds;

using Words = std::vector<std::string>;

struct RefusedRig {
  StackPool stacks;
  sim::World world{{}, stacks};
  sim::SimNetwork& server = world.add_node("server");
  sim::SimNetwork& client = world.add_node("client");
  Words refused;

  Deadline in(Duration d) { return client.clock().in(d); }
  void sleep(Duration d) { (void)client.scheduler().sleep_for(d); }

  // Listens, lets `visit` do its worst, and returns what was said about it.
  template <class T>
  Words words(typename T::Options options, const std::function<void(const Address&)>& visit) {
    options.accept.on_refused = [this](const Address& peer, std::string_view why) {
      EXPECT_EQ(peer.ip, client.address().ip);
      refused.emplace_back(why);
    };
    const sim::RunReport report = world.run([&](Scope& scope) {
      {
        auto listener = T::listen(server, scope, server.address(), options);
        ASSERT_TRUE(listener.has_value());
        visit(listener->local());
        sleep(seconds(30));
        EXPECT_EQ(listener->counters().handshakes_failed, refused.size());
      }
      scope.cancel();
    });
    EXPECT_FALSE(report.failure);
    EXPECT_EQ(report.ending, sim::Ending::finished);
    EXPECT_EQ(report.leaked_sockets, 0U);
    return refused;
  }

  void send(const Address& to, std::string_view text) {
    auto stream = client.dial(to, {}, in(seconds(1)));
    ASSERT_TRUE(stream.has_value());
    iovec piece{const_cast<char*>(text.data()), text.size()};
    if (!text.empty()) (void)(*stream)->write({&piece, 1}, in(seconds(1)));
    sleep(seconds(1));
  }
};

std::shared_ptr<TlsCredentials> credentials(std::vector<TlsIdentity> identities,
                                            const TlsIdentity& trusted) {
  return *TlsCredentials::load(
      {.identities = std::move(identities), .authorities = trusted.certificates});
}
TlsOptions listening(bool mutual = false) {
  TlsOptions options;
  options.tls.credentials =
      credentials({test_certificates().server}, test_certificates().authority);
  options.tls.require_client_certificate = mutual;
  return options;
}

// What a TLS listener says of a dialer of that configuration.
Words of_dialer(const TlsOptions& listening, const std::function<void(TlsConfig&)>& spoil) {
  RefusedRig rig;
  TlsOptions dialing;
  dialing.tls.credentials = credentials({}, test_certificates().authority);
  dialing.tls.server_name = laws::test_server_name;
  spoil(dialing.tls);
  return rig.words<Tls>(listening, [&](const Address& address) {
    auto conn = Tls::dial(rig.client, address, dialing, rig.in(seconds(20)));
    if (!conn) return;
    auto [reader, writer] = split(std::move(*conn));
    (void)reader.read_message(default_max_message, rig.in(seconds(20)));
  });
}

TEST(Refused, a_client_that_speaks_no_tls) {
  RefusedRig rig;
  EXPECT_EQ(rig.words<Tls>(listening(),
                           [&](const Address& address) {
                             rig.send(address, "GET / HTTP/1.1\r\n\r\n");
                             rig.send(address, std::string(1000, '\0'));
                           }),
            (Words{"not a TLS record", "not a TLS record"}));
}

TEST(Refused, a_client_that_is_mute_or_goes_away) {
  RefusedRig rig;
  EXPECT_EQ(rig.words<Tls>(listening(),
                           [&](const Address& address) {
                             auto mute = rig.client.dial(address, {}, rig.in(seconds(1)));
                             (void)rig.client.dial(address, {}, rig.in(seconds(1)));
                             rig.sleep(seconds(11));
                           }),
            (Words{"it ended the connection during the handshake", "handshake timed out"}));
}

TEST(Refused, the_oldest_of_many_make_room) {
  RefusedRig rig;
  TlsOptions options = listening();
  options.accept.handshakes_max = 2;
  EXPECT_EQ(rig.words<Tls>(options,
                           [&](const Address& address) {
                             std::vector<std::unique_ptr<ByteStream>> mute;
                             for (int i = 0; i < 5; ++i)
                               mute.push_back(*rig.client.dial(address, {}, rig.in(seconds(1))));
                             rig.sleep(seconds(20));
                           }),
            (Words{"evicted by newer handshakes", "evicted by newer handshakes",
                   "evicted by newer handshakes", "handshake timed out", "handshake timed out"}));
}

TEST(Refused, clients_with_certificates_of_no_use) {
  const auto& known = test_certificates();
  const auto shows = [&](const TlsIdentity* identity) {
    return of_dialer(listening(true), [&](TlsConfig& config) {
      if (identity != nullptr) config.credentials = credentials({*identity}, known.authority);
    });
  };
  EXPECT_EQ(shows(&known.expired), Words{"certificate expired"});
  EXPECT_EQ(shows(&known.not_yet), Words{"certificate not yet valid"});
  EXPECT_EQ(shows(&known.forged), Words{"certificate with a wrong signature"});
  // GnuTLS does not show what none of the listener's authorities has signed.
  EXPECT_EQ(shows(&known.by_stranger), Words{"no certificate shown"});
  EXPECT_EQ(shows(nullptr), Words{"no certificate shown"});
  EXPECT_EQ(shows(&known.client), Words{});
}

TEST(Refused, clients_that_refuse_us) {
  const auto& known = test_certificates();
  TlsOptions expired = listening();
  expired.tls.credentials = credentials({known.expired}, known.authority);
  EXPECT_EQ(of_dialer(expired, [](TlsConfig&) {}),
            Words{"the peer refused: Certificate is expired"});
  EXPECT_EQ(
      of_dialer(listening(),
                [&](TlsConfig& config) { config.credentials = credentials({}, known.stranger); }),
      Words{"the peer refused: CA is unknown"});
}

TEST(Refused, no_common_protocol_and_no_common_version) {
  TlsOptions options = listening();
  options.tls.alpn = {"ours"};
  EXPECT_EQ(of_dialer(options, [](TlsConfig& config) { config.alpn = {"theirs"}; }),
            Words{"no common application protocol"});
  EXPECT_EQ(of_dialer(options, [](TlsConfig&) {}), Words{"no common application protocol"});
  EXPECT_EQ(
      of_dialer(listening(), [](TlsConfig& config) { config.versions = TlsVersions::only_12; }),
      Words{"no common version or cipher suite of TLS"});
}

TEST(Refused, a_first_message_that_is_none) {
  RefusedRig rig;
  ConnOptions options;
  options.accept_after_first_message = true;
  EXPECT_EQ(rig.words<Tcp>(options,
                           [&](const Address& address) {
                             rig.send(address, std::string(300, 'x'));
                             rig.send(address, "short");
                             rig.send(address, "");
                           }),
            (Words{"it sent what is no frame, or one that is too large to begin with",
                   "it ended the connection before its first message was whole",
                   "it ended the connection before its first message was whole"}));
}

// By the same door, without a word of its own.
TEST(Refused, a_websocket_client_that_is_mute) {
  RefusedRig rig;
  EXPECT_EQ(rig.words<Ws>({},
                          [&](const Address& address) {
                            auto mute = rig.client.dial(address, {}, rig.in(seconds(1)));
                            rig.sleep(seconds(11));
                          }),
            Words{"handshake timed out"});
}

// The same words over QUIC, whose handshake is another library's.
QuicOptions quic_listening() {
  QuicOptions options;
  options.tls = listening().tls;
  options.tls.alpn = {"chat"};
  return options;
}
QuicOptions quic_dialing() {
  QuicOptions options = quic_listening();
  options.tls.credentials = credentials({}, test_certificates().authority);
  options.tls.server_name = laws::test_server_name;
  return options;
}
Words quic_words(const QuicOptions& server, const QuicOptions& client) {
  RefusedRig rig;
  return rig.words<Quic>(server, [&](const Address& address) {
    auto conn = Quic::dial(rig.client, address, client, rig.in(seconds(5)));
    rig.sleep(seconds(1));
  });
}

TEST(Refused, quic_clients_that_show_no_certificate_or_a_bad_one) {
  QuicOptions server = quic_listening();
  server.tls.require_client_certificate = true;
  server.tls.credentials = credentials({test_certificates().server}, test_certificates().authority);
  QuicOptions client = quic_dialing();
  EXPECT_EQ(quic_words(server, client), Words{"no certificate shown"});
  client.tls.credentials =
      credentials({test_certificates().expired}, test_certificates().authority);
  EXPECT_EQ(quic_words(server, client), Words{"certificate expired"});
}

TEST(Refused, quic_clients_that_trust_another_authority_or_speak_another_protocol) {
  QuicOptions client = quic_dialing();
  client.tls.credentials = credentials({}, test_certificates().stranger);
  EXPECT_EQ(quic_words(quic_listening(), client), Words{"the peer refused: CA is unknown"});
  client = quic_dialing();
  client.tls.alpn = {"mail"};
  EXPECT_EQ(quic_words(quic_listening(), client), Words{"no common application protocol"});
}

TEST(Refused, quic_clients_that_say_nothing) {
  QuicOptions server = quic_listening();
  server.accept_after_first_message = true;
  RefusedRig rig;
  const Words words = rig.words<Quic>(server, [&](const Address& address) {
    auto leaves = Quic::dial(rig.client, address, quic_dialing(), rig.in(seconds(5)));
    ASSERT_TRUE(leaves.has_value());
    rig.sleep(seconds(1));
    leaves = Errc::broken;
    auto mute = Quic::dial(rig.client, address, quic_dialing(), rig.in(seconds(5)));
    ASSERT_TRUE(mute.has_value());
    rig.sleep(seconds(11));
  });
  EXPECT_EQ(words, (Words{"it ended the connection before its first message was whole",
                          "handshake timed out"}));
}

TEST(Refused, quic_clients_that_make_room_or_begin_with_too_much) {
  QuicOptions server = quic_listening();
  server.accept_after_first_message = true;
  server.accept.handshakes_max = 2;
  server.first_message_max = 300;
  RefusedRig rig;
  const Words words = rig.words<Quic>(server, [&](const Address& address) {
    std::vector<Result<QuicConn>> mute;
    for (int i = 0; i < 4; ++i) {
      mute.push_back(Quic::dial(rig.client, address, quic_dialing(), rig.in(seconds(5))));
      ASSERT_TRUE(mute.back().has_value());
    }
    rig.sleep(seconds(15));
    auto large = Quic::dial(rig.client, address, quic_dialing(), rig.in(seconds(5)));
    ASSERT_TRUE(large.has_value());
    auto message = MutableMessage::create(rig.client.buffers(), Command::request, 1000);
    Batch batch;
    batch.push(std::move(*message).freeze());
    auto [reader, writer] = split(std::move(*large));
    (void)writer.send_batch(batch, rig.in(seconds(5)));
    rig.sleep(seconds(1));
  });
  EXPECT_EQ(words, (Words{"evicted by newer handshakes", "evicted by newer handshakes",
                          "handshake timed out", "handshake timed out",
                          "it sent what is no message, or one that is too large to begin with"}));
}

TEST(Refused, nobody_is_told_once_the_listener_over_quic_has_gone) {
  RefusedRig rig;
  int calls = 0;
  QuicOptions options = quic_listening();
  options.accept_after_first_message = true;
  options.accept.on_refused = [&](const Address&, std::string_view) { ++calls; };
  (void)rig.world.run([&](Scope& scope) {
    Result<QuicConn> mute = Errc::broken;
    {
      auto listener = Quic::listen(rig.server, scope, rig.server.address(), options);
      mute = Quic::dial(rig.client, listener->local(), quic_dialing(), rig.in(seconds(5)));
      EXPECT_TRUE(mute.has_value());
      rig.sleep(milliseconds(1));
    }
    rig.sleep(seconds(20));
    scope.cancel();
  });
  EXPECT_EQ(calls, 0);
}

TEST(Refused, nobody_is_told_once_the_listener_has_gone) {
  RefusedRig rig;
  int calls = 0;
  TlsOptions options = listening();
  options.accept.on_refused = [&](const Address&, std::string_view) { ++calls; };
  (void)rig.world.run([&](Scope& scope) {
    std::unique_ptr<ByteStream> mute;
    {
      auto listener = Tls::listen(rig.server, scope, rig.server.address(), options);
      mute = *rig.client.dial(listener->local(), {}, rig.in(seconds(1)));
      rig.sleep(milliseconds(1));
    }
    rig.sleep(seconds(20));
    scope.cancel();
  });
  EXPECT_EQ(calls, 0);
}

}  // namespace
}  // namespace twinwire
