// SPDX-License-Identifier: Apache-2.0
// What GET /metrics of a `serve --bus` tells: the replicated log, its bus, its handshakes and its ring.
// docs/operating.md says what to watch.
#pragma once

#include <string>
#include <string_view>

#include "real/ring.h"
#include "transport/bus/bus.h"
#include "transport/bus/handshake/rejection.h"
#include "transport/log/replica.h"

namespace twinwire::cli {

// In a fiber of the ring: all of it is of one moment.
std::string bus_metrics(real::Ring& ring, std::string_view replica_transport,
                        const log::Replica& replica, const bus::Bus& bus,
                        const bus::HandshakeCounters& handshakes);

}  // namespace twinwire::cli
