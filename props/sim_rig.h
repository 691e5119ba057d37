// SPDX-License-Identifier: Apache-2.0
// For the tests of the simulated network: two nodes, one connection, and short words for what tests say often.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/sim_network.h"
#include "sim/sim_stream.h"
#include "sim/world.h"

namespace twinwire::sim {

using namespace std::chrono_literals;

inline StackPool& test_stacks() {
  static StackPool stacks;
  return stacks;
}

using Bytes = std::vector<std::byte>;

// Bytes that tell their offset, so that a lost or doubled one shows.
inline Bytes pattern(std::size_t size, std::size_t from = 0) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>(scramble((from + i) / 8) >> (8 * ((from + i) % 8)));
  return bytes;
}

inline Result<std::size_t> write_some(ByteStream& stream, const Bytes& bytes, std::size_t from = 0,
                                      Deadline deadline = {}) {
  const iovec piece{const_cast<std::byte*>(bytes.data()) + from, bytes.size() - from};
  return stream.write({&piece, 1}, deadline);
}

inline Result<std::size_t> write_all(ByteStream& stream, const Bytes& bytes,
                                     Deadline deadline = {}) {
  for (std::size_t at = 0; at < bytes.size();) {
    const auto n = write_some(stream, bytes, at, deadline);
    if (!n) return n.error();
    at += *n;
  }
  return bytes.size();
}

// Reads until `size` bytes, the end, or an error; appends to `into`.
inline Result<std::size_t> read_up_to(ByteStream& stream, Bytes& into, std::size_t size,
                                      Deadline deadline = {}) {
  while (into.size() < size) {
    auto slice = stream.read(deadline);
    if (!slice) return slice.error();
    if (slice->empty()) return Errc::closed;
    into.insert(into.end(), slice->bytes().begin(), slice->bytes().end());
  }
  return into.size();
}

inline Bytes read_to_end(ByteStream& stream) {
  Bytes all;
  (void)read_up_to(stream, all, SIZE_MAX);
  return all;
}

class TraceText final : public TraceSink {
 public:
  void on_step(const TraceStep& step) override {
    text += std::to_string(step.at.ns) + " " + std::string(step.who) + " " +
            std::string(step.what) + "\n";
  }
  bool has(std::string_view part) const { return text.find(part) != std::string::npos; }
  std::string text;
};

// What a test body gets: both ends of one connection, in the main fiber, at the instant of the accept.
struct Rig {
  World& world;
  SimNetwork& client_node;
  SimNetwork& server_node;
  Scope& scope;
  std::unique_ptr<Acceptor>& acceptor;
  std::unique_ptr<ByteStream>& client;
  std::unique_ptr<ByteStream>& server;

  TimePoint now() const { return world.now(); }
  Deadline in(Duration d) const { return {world.now() + d}; }
  void sleep(Duration d) const { (void)world.scheduler().sleep_for(d); }
};

inline constexpr Duration latency = 50us;
inline constexpr std::uint16_t port = 4000;

// Runs body(Rig&) on a connection from "client" (node 1) to "server" (node 0).
template <class F>
RunReport run_rig(const WorldOptions& options, const StreamOptions& dial,
                  const ListenOptions& listen, F&& body) {
  World world(options, test_stacks());
  SimNetwork& server_node = world.add_node("server");
  SimNetwork& client_node = world.add_node("client");
  return world.run([&](Scope& scope) {
    auto acceptor = server_node.listen(server_node.address(port), listen);
    ASSERT_TRUE(acceptor.has_value());
    auto client = client_node.dial(server_node.address(port), dial, {});
    ASSERT_TRUE(client.has_value()) << to_string(client.error());
    auto server = (*acceptor)->accept({});
    ASSERT_TRUE(server.has_value()) << to_string(server.error());
    Rig rig{world, client_node, server_node, scope, *acceptor, *client, *server};
    body(rig);
    scope.join();
  });
}

template <class F>
RunReport run_rig(F&& body) {
  return run_rig({}, {}, {}, std::forward<F>(body));
}

// Runs body(world, server, client, scope) on two nodes.
template <class F>
RunReport run_nodes(const WorldOptions& options, F&& body) {
  World world(options, test_stacks());
  SimNetwork& server = world.add_node("server");
  SimNetwork& client = world.add_node("client");
  return world.run([&](Scope& scope) { body(world, server, client, scope); });
}

// The rig's connection, and its directions.
inline constexpr EntityId rig_connection = child_entity(child_entity(World::root_entity, 1), 0);
inline constexpr EntityId client_to_server = child_entity(rig_connection, 0);
inline constexpr EntityId server_to_client = child_entity(rig_connection, 1);

inline WorldOptions with_edits(std::vector<Decision> edits) {
  WorldOptions options;
  options.edits = std::move(edits);
  return options;
}

inline std::uint64_t bit(const RunReport& report, Site site) {
  return report.counts[static_cast<std::size_t>(site)].bit;
}

inline void expect_clean(const RunReport& report) {
  EXPECT_EQ(report.ending, Ending::finished);
  EXPECT_EQ(report.leaked_buffers, 0u);
  EXPECT_EQ(report.leaked_sockets, 0u);
  EXPECT_EQ(report.failure, nullptr);
}

}  // namespace twinwire::sim
