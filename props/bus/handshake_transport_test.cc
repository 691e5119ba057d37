// SPDX-License-Identifier: Apache-2.0
// The handshake over connections of the World: TCP and TLS, with what the transport does to it.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <optional>

#include "props/bus/handshake_rig.h"
#include "props/laws/test_credentials.h"
#include "sim/sim_network.h"
#include "transport/bus/handshake/handshake.h"
#include "transport/tcp/tcp.h"
#include "transport/tls/tls.h"
#include "transport/wire/seal.h"

namespace twinwire::bus::handshake_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

template <class T>
typename T::Options transport_options(bool listener) {
  typename T::Options options;
  if constexpr (requires { options.tls; }) {
    const laws::TestCredentials& known = laws::test_credentials();
    options.tls.credentials = (listener ? known.server : known.client)->share();
    options.tls.server_name = laws::test_server_name;
  }
  return options;
}

// What became of one handshake between two nodes of a World.
struct Outcome {
  Result<ReplicaPeer> dialer = Errc::canceled;
  Result<ReplicaPeer> acceptor = Errc::canceled;
  Rejection dialer_why = Rejection::none;
  Rejection acceptor_why = Rejection::none;
  bool binding = false;
};

template <class T>
class HandshakeOver : public testing::Test {
 protected:
  HandshakeOver() { client.options.peer_id = acceptor_id; }

  Outcome run(std::uint64_t seed = 1, const sim::FaultPlan& faults = sim::FaultPlan::none()) {
    Outcome outcome;
    StackPool stacks;
    sim::WorldOptions world_options;
    world_options.seed = seed;
    world_options.faults = faults;
    sim::World world(world_options, stacks);
    auto& server_node = world.add_node("server");
    auto& client_node = world.add_node("client");
    const auto report = world.run([&](Scope& scope) {
      run_scope(scope.scheduler(), [&](Scope& background) {
        auto options = transport_options<T>(true);
        options.verify_seal = server.options.sealed;
        auto listener = T::listen(server_node, background, server_node.address(4000), options);
        ASSERT_TRUE(listener);
        run_scope(scope.scheduler(), [&](Scope& both) {
          both.spawn("server", [&] { serve(server_node, *listener, outcome); });
          both.spawn("client", [&] { dial(client_node, listener->local(), outcome); });
        });
        background.cancel();
      });
    });
    EXPECT_EQ(report.ending, sim::Ending::finished);
    return outcome;
  }

  void dial(Network& network, const Address& address, Outcome& outcome) {
    auto options = transport_options<T>(false);
    options.verify_seal = client.options.sealed;
    const Deadline deadline = network.clock().in(seconds(5));
    auto conn = T::dial(network, address, options, deadline);
    if (!conn) return;
    const auto binding = conn->channel_binding();
    outcome.binding = binding.has_value();
    auto [reader, writer] = split(std::move(*conn));
    if (as_one_value) {
      const KeyedHandshake handshake(client.options);
      const auto id =
          handshake.dial(network, reader, writer, acceptor_id, bytes_of(binding), deadline);
      if (id) outcome.dialer = ReplicaPeer{.id = *id, .session = {}};
      return;
    }
    outcome.dialer = authenticate_dialer(network, reader, writer, client.options, bytes_of(binding),
                                         deadline, &outcome.dialer_why);
    if (!outcome.dialer) return;
    auto message = MutableMessage::create(network.buffers(), Command::request, 0);
    message->set_request_id(4711);
    if (client.options.sealed) seal(*message);
    Batch batch(1);
    batch.push(std::move(*message).freeze());
    if (!writer.send_batch(batch, deadline)) return;
    (void)writer.close(seconds(5));
  }

  void serve(Network& network, typename T::Listener& listener, Outcome& outcome) {
    auto accepted = listener.accept(network.clock().in(seconds(5)));
    if (!accepted) return;
    const auto binding = accepted->first.channel_binding();
    auto [reader, writer] = split(std::move(accepted->first));
    const Deadline deadline = network.clock().in(seconds(5));
    if (as_one_value) {
      const KeyedHandshake handshake(server.options);
      const auto id = handshake.accept(network, reader, writer, bytes_of(binding), deadline);
      if (id) outcome.acceptor = ReplicaPeer{.id = *id, .session = {}};
      (void)reader.read_message(default_max_message, deadline);
      return;
    }
    outcome.acceptor = authenticate_acceptor(network, reader, writer, server.options,
                                             bytes_of(binding), deadline, &outcome.acceptor_why);
    if (!outcome.acceptor) return;
    auto heard = reader.read_message(default_max_message, deadline);
    heard_id = heard ? request_id(*heard) : 0;
    (void)reader.read_message(default_max_message, deadline);
  }

  Node client{dialer_id};
  Node server{acceptor_id};
  bool as_one_value = false;  // by KeyedHandshake
  std::uint64_t heard_id = 0;
};

using Framed = testing::Types<Tcp, Tls>;
struct TransportName {
  template <class T>
  static std::string GetName(int) {
    return std::string(T::name);
  }
};
TYPED_TEST_SUITE(HandshakeOver, Framed, TransportName);

TYPED_TEST(HandshakeOver, both_verify_each_other_and_the_connection_is_theirs) {
  const Outcome outcome = this->run();
  ASSERT_TRUE(outcome.dialer) << to_string(outcome.dialer.error());
  ASSERT_TRUE(outcome.acceptor) << to_string(outcome.acceptor.error());
  EXPECT_EQ(outcome.dialer->id, acceptor_id);
  EXPECT_EQ(outcome.acceptor->id, dialer_id);
  EXPECT_EQ(outcome.dialer->session, outcome.acceptor->session);
  EXPECT_EQ(outcome.binding, has_authentic_end<TypeParam>);
  EXPECT_EQ(this->heard_id, 4711u);
}

TYPED_TEST(HandshakeOver, it_can_be_had_as_one_value) {
  this->as_one_value = true;
  this->client.options.peer_id.reset();
  this->client.options.channel_needed = this->server.options.channel_needed =
      has_authentic_end<TypeParam>;
  const Outcome outcome = this->run();
  ASSERT_TRUE(outcome.dialer && outcome.acceptor);
  EXPECT_EQ(outcome.dialer->id, acceptor_id);
  EXPECT_EQ(outcome.acceptor->id, dialer_id);
}

TYPED_TEST(HandshakeOver, frames_are_sealed_where_the_connection_looks_at_seals) {
  this->client.options.sealed = this->server.options.sealed = true;
  const Outcome outcome = this->run();
  EXPECT_TRUE(outcome.dialer && outcome.acceptor);
  EXPECT_EQ(this->heard_id, 4711u);
}

TYPED_TEST(HandshakeOver, another_key_is_refused_without_a_word) {
  this->client.options.keys.current = key_of(2);
  const Outcome outcome = this->run();
  ASSERT_FALSE(outcome.acceptor || outcome.dialer);
  EXPECT_EQ(outcome.acceptor.error(), Errc::handshake);
  EXPECT_EQ(outcome.acceptor_why, Rejection::bad_tag);
  EXPECT_EQ(outcome.dialer.error(), Errc::broken);
  EXPECT_EQ(outcome.dialer_why, Rejection::none);
}

TYPED_TEST(HandshakeOver, who_is_refused_reads_why) {
  this->server.options.admitted.reset(dialer_id);
  const Outcome outcome = this->run();
  ASSERT_FALSE(outcome.acceptor || outcome.dialer);
  EXPECT_EQ(outcome.acceptor.error(), Errc::handshake);
  EXPECT_EQ(outcome.acceptor_why, Rejection::not_admitted);
  EXPECT_EQ(outcome.dialer.error(), Errc::handshake);
  EXPECT_EQ(outcome.dialer_why, Rejection::refused_by_peer);
}

TYPED_TEST(HandshakeOver, in_a_swarm_of_faults_whoever_is_verified_is_who_it_says) {
  std::size_t agreed = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    sim::FaultPlan faults = sim::FaultPlan::swarm(seed);
    faults.off(sim::Site::clock_skew);
    faults.off(sim::Site::clock_drift);
    const Outcome outcome = this->run(seed, faults);
    if (outcome.dialer) {
      ASSERT_EQ(outcome.dialer->id, acceptor_id);
      // The acceptor is done first, unless the connection failed as it said so.
      if (outcome.acceptor) {
        ASSERT_EQ(outcome.dialer->session, outcome.acceptor->session);
      }
    }
    if (outcome.acceptor) {
      ASSERT_EQ(outcome.acceptor->id, dialer_id);
    }
    agreed += outcome.dialer && outcome.acceptor ? 1 : 0;
    ASSERT_LE(this->client.memory.counters.verified, this->server.memory.counters.verified);
  }
  EXPECT_GT(agreed, 30u);
}

}  // namespace
}  // namespace twinwire::bus::handshake_test
