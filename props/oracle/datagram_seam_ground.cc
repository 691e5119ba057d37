// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/datagram_seam_ground.h"

#include <algorithm>

#include "real/ring.h"
#include "real/ring_network.h"
#include "sim/sim_network.h"
#include "transport/base/check.h"

namespace twinwire::oracle {

void DatagramSeamGround::begin(std::size_t socket, Receive receive) {
  Waiting& one = waiting_[socket];
  one = {.active = true};
  one.fiber = scope_.spawn("waits", [&one, receive = std::move(receive)] {
    (void)receive(Deadline::never());
    one.done = true;
  });
}

void DatagramSeamGround::stop(std::size_t socket) {
  Waiting& one = waiting_[socket];
  if (!one.done) networks_[0]->scheduler().cancel(one.fiber);
  while (!one.done) pause(pace_.turn);
  one.active = false;
}

void DatagramSeamGround::let_waiting_go_on() {
  if (std::ranges::any_of(waiting_, &Waiting::active)) pause(pace_.turn);
}

DatagramOutcomes run_datagrams_in_world(const DatagramScript& script) {
  static StackPool stacks;
  sim::WorldOptions options;
  options.latency = world_pace.hop;
  sim::World world(options, stacks);
  std::array<Network*, 2> networks{};
  std::array<Places, 2> places{};
  for (unsigned host = 0; host < (script.one_host ? 1u : 2u); ++host) {
    sim::SimNetwork& node = world.add_node(host == 0 ? "a" : "b");
    networks[host] = &node;
    places[host].own4 = node.address();
    places[host].own6 = node.address6();
    places[host].nobody4 = Address::v4(10, 0, 77, 77, 0);
    places[host].far4 = Address::v4(10, 0, 77, 78, 0);
    places[host].far6.ip[0] = 0xfd;
    places[host].far6.ip[15] = 78;
  }
  if (!script.one_host) {
    places[0].far4 = places[1].own4;
    places[1].far4 = places[0].own4;
  }
  DatagramOutcomes outcomes;
  const sim::RunReport report = world.run([&](Scope& scope) {
    DatagramSeamGround ground(networks, places, world_pace, scope);
    outcomes = run_datagrams(script, ground);
  });
  TWINWIRE_CHECK(report.ending == sim::Ending::finished && report.leaked_sockets == 0 &&
                     report.leaked_buffers == 0,
                 "a script leaves nothing behind");
  return outcomes;
}

DatagramOutcomes run_datagrams_on_ring(const DatagramScript& script) {
  TWINWIRE_CHECK(script.one_host, "the Ring speaks to itself");
  auto ring = real::Ring::create({});
  DatagramOutcomes outcomes;
  {
    real::RingNetwork network(*ring.value());
    Scope root((*ring)->scheduler());
    root.spawn("script", [&] {
      run_scope((*ring)->scheduler(), [&](Scope& scope) {
        DatagramSeamGround ground({&network, &network}, {loopback_places(), loopback_places()},
                                  ring_pace, scope);
        outcomes = run_datagrams(script, ground);
      });
    });
    (void)(*ring)->scheduler().run();
    root.rethrow_failure();
  }
  return outcomes;
}

}  // namespace twinwire::oracle
