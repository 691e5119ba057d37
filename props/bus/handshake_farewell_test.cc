// SPDX-License-Identifier: Apache-2.0
// How a handshake that was refused ends: who was told so has time to read it before the connection is dropped, and who
// was told nothing has none.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>

#include "props/bus/handshake_rig.h"
#include "props/sim_rig.h"
#include "transport/bus/handshake/handshake.h"

namespace twinwire::bus::handshake_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A dialer at the other end of two halves without a transport, and what the acceptor did at the end.
struct Far {
  Far(Network& n, Node& client)
      : network(&n), dialer(HandshakeRole::dialer, client, 1), said{dialer.said.front()} {}
  Network* network;
  Side dialer;
  std::deque<HandshakeFrame> said;
  std::optional<Duration> grace;  // of close()
};

struct FarReader {
  Result<Message> read_message(std::size_t, Deadline) {
    if (far->said.empty()) return Errc::closed;
    const HandshakeFrame frame = far->said.front();
    far->said.pop_front();
    return message_of(frame, far->network->buffers(), false);
  }
  Far* far;
};

struct FarWriter {
  Result<void> send_batch(Batch& batch, Deadline) {
    EXPECT_FALSE(far->grace) << "after the end";
    for (const Message& message : batch.messages()) {
      HandshakeFrame frame{};
      EXPECT_EQ(message.bytes().size(), frame.size());
      std::ranges::copy(message.bytes(), frame.begin());
      if (const auto answer = far->dialer.hear(frame)) far->said.push_back(*answer);
    }
    batch.clear();
    return {};
  }
  Result<void> close(Duration grace) {
    far->grace = grace;
    return {};
  }
  Far* far;
};

// Has `server` accept `client`, within `limit`; and what became of it.
template <class F>
void accept(Node& server, Node& client, Duration limit, F&& look) {
  sim::expect_clean(
      sim::run_nodes({}, [&](sim::World&, sim::SimNetwork& node, sim::SimNetwork&, Scope&) {
        Far far(node, client);
        FarReader reader{&far};
        FarWriter writer{&far};
        const auto peer =
            authenticate_acceptor(node, reader, writer, server.options, {}, node.clock().in(limit));
        look(far, peer.has_value());
      }));
}

TEST(HandshakeFarewell,
     who_is_refused_in_words_has_a_second_to_read_them_and_no_more_than_is_left) {
  for (const Duration limit : {Duration(seconds(5)), Duration(milliseconds(300))}) {
    Node server(acceptor_id), client(dialer_id);
    client.options.peer_id = acceptor_id;
    server.options.admitted.reset(dialer_id);
    accept(server, client, limit, [&](Far& far, bool verified) {
      EXPECT_FALSE(verified);
      EXPECT_EQ(far.dialer.core.told(), Rejection::not_admitted);
      EXPECT_EQ(far.grace, std::optional<Duration>(std::min<Duration>(limit, seconds(1))));
    });
  }
}

TEST(HandshakeFarewell, who_is_told_nothing_is_not_waited_for) {
  Node server(acceptor_id), client(dialer_id);
  client.options.peer_id = acceptor_id;
  client.options.keys.current = key_of(2);
  accept(server, client, seconds(5), [&](Far& far, bool verified) {
    EXPECT_FALSE(verified);
    EXPECT_FALSE(far.grace.has_value());
  });
}

TEST(HandshakeFarewell, who_is_verified_keeps_the_connection) {
  Node server(acceptor_id), client(dialer_id);
  client.options.peer_id = acceptor_id;
  accept(server, client, seconds(5), [&](Far& far, bool verified) {
    EXPECT_TRUE(verified);
    EXPECT_TRUE(far.dialer.verified());
    EXPECT_FALSE(far.grace.has_value());
  });
}

}  // namespace
}  // namespace twinwire::bus::handshake_test
