// SPDX-License-Identifier: Apache-2.0
// The handshake over real sockets: the same code on io_uring, over TCP and TLS, with the machine's own chance and time.
// ctest: real_time no_tsan
#include <gtest/gtest.h>

#include <set>

#include "props/bus/handshake_rig.h"
#include "props/laws/test_credentials.h"
#include "props/ring_fixture.h"
#include "transport/bus/handshake/handshake.h"
#include "transport/tcp/tcp.h"
#include "transport/tls/tls.h"

namespace twinwire::real {
namespace {

using bus::handshake_test::acceptor_id;
using bus::handshake_test::dialer_id;
using bus::handshake_test::key_of;
using bus::handshake_test::Node;

class HandshakeOnRing : public RingTest {
 protected:
  template <class T>
  static typename T::Options options_of(bool listener) {
    typename T::Options options;
    if constexpr (requires { options.tls; }) {
      const laws::TestCredentials& known = laws::test_credentials();
      options.tls.credentials = (listener ? known.server : known.client)->share();
      options.tls.server_name = laws::test_server_name;
    }
    return options;
  }

  // Each side's result.
  template <class T>
  void shake(Result<bus::ReplicaPeer>& dialer, Result<bus::ReplicaPeer>& acceptor) {
    run({}, [&](RingNetwork& network, Scope& background) {
      auto listener = T::listen(network, background, loopback, options_of<T>(true));
      ASSERT_TRUE(listener.has_value());
      run_scope(network.scheduler(), [&](Scope& both) {
        both.spawn("server", [&] {
          auto accepted = listener->accept(soon());
          ASSERT_TRUE(accepted.has_value());
          const auto binding = accepted->first.channel_binding();
          auto [reader, writer] = split(std::move(accepted->first));
          acceptor = bus::authenticate_acceptor(network, reader, writer, server_.options,
                                                bus::bytes_of(binding), soon());
          if (acceptor) (void)reader.read_message(default_max_message, soon());
        });
        both.spawn("client", [&] {
          auto conn = T::dial(network, listener->local(), options_of<T>(false), soon());
          ASSERT_TRUE(conn.has_value());
          const auto binding = conn->channel_binding();
          auto [reader, writer] = split(std::move(*conn));
          dialer = bus::authenticate_dialer(network, reader, writer, client_.options,
                                            bus::bytes_of(binding), soon());
        });
      });
      background.cancel();
    });
  }

  Node client_{dialer_id};
  Node server_{acceptor_id};
};

template <class T>
class HandshakeOnRingOver : public HandshakeOnRing {};
using OverSockets = testing::Types<Tcp, Tls>;
TYPED_TEST_SUITE(HandshakeOnRingOver, OverSockets);

TYPED_TEST(HandshakeOnRingOver, both_verify_each_other_or_neither_does) {
  this->client_.options.peer_id = acceptor_id;
  this->client_.options.channel_needed = this->server_.options.channel_needed =
      has_authentic_end<TypeParam>;
  Result<bus::ReplicaPeer> dialer = Errc::canceled;
  Result<bus::ReplicaPeer> acceptor = Errc::canceled;
  std::set<bus::HandshakeSession> sessions;
  for (int i = 0; i < 3; ++i) {
    this->template shake<TypeParam>(dialer, acceptor);
    ASSERT_TRUE(dialer && acceptor);
    EXPECT_EQ(dialer->id, acceptor_id);
    EXPECT_EQ(acceptor->id, dialer_id);
    EXPECT_EQ(dialer->session, acceptor->session);
    EXPECT_TRUE(sessions.insert(dialer->session).second);
  }

  this->client_.options.keys.current = key_of(2);
  this->template shake<TypeParam>(dialer, acceptor);
  EXPECT_FALSE(dialer || acceptor);
  EXPECT_EQ(this->server_.count(bus::Rejection::bad_tag), 1u);

  this->client_.options.keys.current = key_of(1);
  this->server_.options.admitted.reset(dialer_id);
  this->template shake<TypeParam>(dialer, acceptor);
  EXPECT_FALSE(dialer || acceptor);
  EXPECT_EQ(this->client_.count(bus::Rejection::refused_by_peer), 1u);
}

}  // namespace
}  // namespace twinwire::real
