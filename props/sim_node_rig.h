// SPDX-License-Identifier: Apache-2.0
// For the tests of nodes that fail: a program on the server, and what is done beside it.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string_view>

#include "props/sim_rig.h"
#include "sim/node.h"

namespace twinwire::sim {

inline WorldOptions plan(std::string_view fault, TraceSink* trace = nullptr) {
  WorldOptions options;
  EXPECT_TRUE(options.faults.set(fault).has_value()) << fault;
  options.trace = trace;
  return options;
}

inline std::uint64_t struck(const RunReport& report, Site site) {
  return report.counts[static_cast<std::size_t>(site)].struck;
}

inline Node::Program idle(World& world) {
  return [&world](SimNetwork&) { (void)world.scheduler().sleep_for(1h); };
}

// One that accepts a connection and holds it, without reading; the second incarnation only listens.
inline Node::Program holder(World& world, Duration until_read = 1h) {
  return [&world, until_read](SimNetwork& network) {
    auto acceptor = network.listen(network.address(port), {});
    if (!acceptor) return;  // killed before it began
    auto stream = (*acceptor)->accept({});
    if (!stream) return;
    (void)world.scheduler().sleep_for(until_read);
    Bytes got;
    (void)read_up_to(**stream, got, SIZE_MAX);
    (void)world.scheduler().sleep_for(1h);
  };
}

// Runs `program` on the server for as long as body(world, server, client) takes.
template <class F>
RunReport beside(const WorldOptions& options, const std::function<Node::Program(World&)>& program,
                 F&& body) {
  return run_nodes(options, [&](World& world, SimNetwork& server, SimNetwork& client, Scope&) {
    const Node::Program made = program(world);
    run_scope(world.scheduler(), [&](Scope& servers) {
      servers.spawn("run server", [&] { server.node().run(made); });
      world.scheduler().yield();
      (void)world.scheduler().sleep_for(1ms);
      body(world, server.node(), client);
      servers.cancel();
    });
  });
}

inline std::unique_ptr<ByteStream> dial(SimNetwork& client, Node& server) {
  auto stream = client.dial(server.network().address(port), {}, {});
  EXPECT_TRUE(stream.has_value());
  return std::move(*stream);
}

}  // namespace twinwire::sim
