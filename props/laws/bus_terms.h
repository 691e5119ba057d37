// SPDX-License-Identifier: Apache-2.0
// What the scenarios of the bus, of one shard and of several, have in common: the times of their buses, and a send that
// is held to its laws.
#pragma once

#include <concepts>
#include <string>
#include <utility>

#include "props/laws/bus_book.h"
#include "props/laws/judge.h"
#include "transport/bus/bus.h"

namespace twinwire::laws {

struct BusTimes {
  Duration unit = std::chrono::seconds(1);
  // From the trigger of a handler's stall to its end: longer than a replica needs to come back.
  Duration doze() const noexcept { return unit; }
  Duration stall() const noexcept { return 9 * unit; }

  static constexpr std::size_t handshakes_max = 8;

  bus::BusOptions options() const {
    bus::BusOptions options;
    options.handshakes_max = handshakes_max;
    options.send_limit = 10 * unit;
    options.handshake_limit = 10 * unit;
    options.connect_limit = 3 * unit;
    options.redial_every = 5 * unit;
    options.redial_jitter = unit;
    options.heartbeat_every = unit;
    options.silence_max = 5 * unit;
    options.drain_limit = 2 * unit;
    return options;
  }
};

// Whose send it is, and to whom, for a law's sentence.
struct SendNames {
  const std::string& from;
  std::string (*of_client)(bus::ClientId);
  std::string (*of_replica)(bus::ReplicaId);
  std::string of(bus::ClientId id) const { return of_client(id); }
  std::string of(bus::ReplicaId id) const { return of_replica(id); }
};

// Sends a message of that session. Laws: bus_suspends, bus_drain, bus_refusal.
template <class Id>
Result<void> judged_send(Judge& judge, BusBook& book, bus::Bus& bus, const SendNames& names, Id to,
                         BusBook::Session session, Message message) {
  const std::byte* const bytes = message.bytes().data();
  const Scheduler& scheduler = bus.scheduler();
  const std::uint64_t runs = scheduler.runs();
  const bool stopping = bus.stopping();
  Result<void> sent = Errc::broken;
  if constexpr (std::same_as<Id, bus::ClientId>)
    sent = bus.send_to_client(to, message);
  else
    sent = bus.send_to_replica(to, message);
  judge.check(scheduler.runs() == runs, "bus_suspends",
              [&] { return names.from + ": a send to " + names.of(to) + " suspended"; });
  judge.check(!stopping || (!sent && sent.error() == Errc::shutting_down), "bus_drain",
              [&] { return names.from + ": a send after the shutdown began was not refused"; });
  if (sent) {
    judge.check(message.empty(), "bus_refusal", "a message that was queued is still there");
    book.queued(session);
    return sent;
  }
  judge.check(!message.empty() && message.bytes().data() == bytes, "bus_refusal",
              "a message that was refused is not the caller's any more");
  // Memory is needed only on the way to another shard.
  judge.check(sent.error() == Errc::backpressure || sent.error() == Errc::shutting_down ||
                  sent.error() == Errc::not_connected ||
                  (bus.options().shards > 1 && sent.error() == Errc::no_resources),
              "bus_refusal", [&] { return "a send failed with " + to_string(sent.error()); });
  return sent;
}

}  // namespace twinwire::laws
