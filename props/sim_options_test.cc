// SPDX-License-Identifier: Apache-2.0
// Options of sockets that mean nothing in the World: it takes them, and not one event of a run is another.
// ctest: no_tsan
#include "props/sim_rig.h"

namespace twinwire::sim {
namespace {

void talk_over(Rig& rig) {
  const Bytes bytes(10'000);
  rig.scope.spawn("writer", [&] {
    EXPECT_TRUE(write_all(*rig.client, bytes));
    EXPECT_TRUE(rig.client->shutdown_write({}));
  });
  EXPECT_EQ(read_to_end(*rig.server).size(), bytes.size());
  rig.scope.join();
}

TEST(SimOptions, what_only_a_kernel_has_changes_nothing) {
  WorldOptions options;
  options.seed = 17;
  const auto run = [&](const StreamOptions& dial, const ListenOptions& listen) {
    return run_rig(options, dial, listen, talk_over);
  };
  StreamOptions stream;
  stream.no_delay = false;
  stream.congestion = "reno";
  stream.keepalive_idle = std::chrono::seconds(1);
  stream.keepalive_interval = std::chrono::seconds(1);
  stream.keepalive_probes = 1;
  stream.user_timeout = std::chrono::milliseconds(1);
  stream.device = "nosuchdevice";
  ListenOptions listen;
  listen.stream = stream;
  listen.v6_only = true;
  listen.reuse_port = true;
  EXPECT_EQ(run(stream, listen).hash, run({}, {}).hash);
  // One that means something there shows that the comparison can fail.
  StreamOptions small;
  small.send_buffer = 300;
  EXPECT_NE(run(small, {}).hash, run({}, {}).hash);
}

TEST(SimOptions, datagrams_take_them_too) {
  const auto report = run_nodes({}, [](World&, SimNetwork& server, SimNetwork&, Scope&) {
    EXPECT_TRUE(server.bind(server.address(4000), {.device = "eth0", .v6_only = true}).has_value());
  });
  expect_clean(report);
}

}  // namespace
}  // namespace twinwire::sim
