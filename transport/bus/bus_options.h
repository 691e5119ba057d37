// SPDX-License-Identifier: Apache-2.0
// BusOptions: every knob of the bus. What each is good for, and why it has this value: docs/bus.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "transport/base/time.h"
#include "transport/bus/ids.h"
#include "transport/wire/batch.h"
#include "transport/wire/header.h"

namespace twinwire::bus {

struct BusOptions {
  // --- Who we are ----------------------------------------------------------------------------------------------------
  std::uint16_t shard = 0;  // the owner in the ids of clients that connect here
  std::uint16_t shards =
      1;  // of this node; this one dials the members whose id modulo that is its own number
  ReplicaId replica = 0;  // our own id
  std::vector<ReplicaId>
      members;  // all replicas of the cluster; others have no route, and are not admitted

  // --- Sending and reading, a peer -----------------------------------------------------------------------------------
  std::size_t queue_max = 256;  // messages that wait; one more is `backpressure`
  std::size_t max_batch = 256;  // messages handed to send_batch at once; 1 to 512
  std::size_t max_message = default_max_message;
  // A peer that does not take a batch within this is dropped.
  Duration send_limit = std::chrono::seconds(10);

  // --- The replica plane ---------------------------------------------------------------------------------------------
  std::size_t handshakes_max = 256;  // unfinished at one time; then the oldest makes room
  Duration handshake_limit = std::chrono::seconds(10);
  Duration connect_limit = std::chrono::seconds(3);  // of a dial, until the transport is up
  Duration redial_every = std::chrono::seconds(5);   // give or take redial_jitter
  Duration redial_jitter = std::chrono::seconds(1);
  // An idle writer says so often that it lives; a replica that says nothing for silence_max is dropped. 0: never, for
  // which silence_max has to be 0 as well.
  Duration heartbeat_every = std::chrono::seconds(1);
  Duration silence_max = std::chrono::seconds(5);

  // --- The end -------------------------------------------------------------------------------------------------------
  // In which clients, then replicas, then background work have to end; each of them all at once.
  Duration drain_limit = std::chrono::seconds(2);
};

// What is wrong with them, in a sentence; empty where nothing is.
std::string_view problem_with(const BusOptions& options) noexcept;

}  // namespace twinwire::bus
