// SPDX-License-Identifier: Apache-2.0
// BusCounters and ShutdownOutcome: what the bus counts.
#pragma once

#include <cstddef>
#include <cstdint>

namespace twinwire::bus {

struct BusCounters {
  std::uint64_t queued = 0;        // messages that send_to_* took
  std::uint64_t backpressure = 0;  // that it refused, since the peer's queue was full
  std::uint64_t sent = 0;          // that send_batch took, heartbeats aside
  std::uint64_t lost = 0;          // that were queued, and went down with their connection
  std::uint64_t received = 0;      // that handlers were given
  std::uint64_t connected = 0;     // connections, of both planes
  std::uint64_t ended = 0;         // of those, the ones that were lost
  std::uint64_t duplicates = 0;    // replicas turned away, being connected already
  std::uint64_t unexpected =
      0;  // replicas that proved to be somebody whom we do not take from that side
  std::uint64_t unauthenticated = 0;  // whose handshake failed; timed-out and evicted ones included
  std::uint64_t evicted = 0;          // handshakes that made room for newer ones
  std::uint64_t refused_by_transport =
      0;                    // whose handshake with a listener failed (TLS, an upgrade)
  std::uint64_t dials = 0;  // attempts
  std::uint64_t dials_failed = 0;
  std::uint64_t accept_errors = 0;
  std::uint64_t handler_failures = 0;   // exceptions that left a handler
  std::uint64_t silent = 0;             // replicas dropped for having said nothing
  std::uint64_t heartbeats = 0;         // that were sent
  std::uint64_t claimed_elsewhere = 0;  // of the duplicates, those that another shard has
};

struct ShutdownOutcome {
  std::size_t clean = 0;   // connections that took what was queued, and said good-bye
  std::size_t forced = 0;  // that did not: the bound was over, or the peer broke off before
  std::size_t background_clean = 0;
  std::size_t background_forced = 0;  // had to be canceled
};

}  // namespace twinwire::bus
