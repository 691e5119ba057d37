// SPDX-License-Identifier: Apache-2.0
// TrafficPlan: the shape of a `traffic` run as plain data: who connects, what they send, how they read, how it ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "transport/base/time.h"

namespace twinwire::laws {

struct BatchPlan {
  std::vector<std::uint32_t> bodies;  // body sizes; one message each
  Duration pause{0};                  // before it is sent
  Duration patience{0};               // its deadline from then; 0: the side's idle limit
};

struct ReaderPlan {
  Duration pause{0};       // after each message
  std::uint32_t hold = 0;  // of the messages read, so many are kept, the latest
  std::uint32_t stop_percent =
      0;  // of reads that are told to stop early, by deadline or cancellation
  Duration stop_after{0};
  bool by_cancel = false;  // else by deadline
};

enum class SideEnd : std::uint8_t {
  close_after_peer,  // wait for everything that the peer is going to send, then close
  close_early,       // close as soon as the own batches are sent
  follow,            // read to the peer's end, then close
  vanish,            // drop both halves when the own batches are sent
  canceled,          // be told to stop at some instant
};

struct SidePlan {
  std::vector<BatchPlan> batches;
  ReaderPlan reader;
  SideEnd end = SideEnd::follow;
  Duration cancel_after{0};
  Duration grace = std::chrono::seconds(5);
  bool batch_after_failure = true;  // try one more batch on a connection that failed
};

struct ConnPlan {
  bool left_out = false;  // it keeps its number and is never dialled
  Duration dial_after{0};
  std::size_t send_buffer = 0;
  std::size_t receive_buffer = 0;
  SidePlan client;
  SidePlan server;
};

struct TrafficPlan {
  std::vector<ConnPlan> conns;
  bool accept_after_first_message = false;
  std::size_t coalesce_below = 0;  // over transports that can (ConnOptions)
  // There is one connection, and its server does not wait to know which: it begins together with the handshake's end.
  bool serve_at_once = false;
};

// The plan of a seed: rapidcheck's generators, driven by the seed alone. The properties and hunt share it.
TrafficPlan traffic_plan_of(std::uint64_t seed);

std::size_t message_count(const SidePlan& side) noexcept;

}  // namespace twinwire::laws
