// SPDX-License-Identifier: Apache-2.0
// Our two ends of `bench real`: Tcp over a RingNetwork, by its public interface, one fiber a connection.
#pragma once

#include <functional>

#include "props/peers/real/real_work.h"
#include "real/ring.h"
#include "transport/fiber/scope.h"
#include "transport/net/network.h"

namespace twinwire::cli {

// Serves the connections of the work, until each has said good-bye.
void serve_real(real::Ring& ring, Network& network, Scope& background, const peers::RealWork& work,
                const std::function<void(std::uint16_t port)>& listening);
peers::RealReport load_real(real::Ring& ring, Network& network, std::uint16_t port,
                            const peers::RealWork& work, std::size_t coalesce_below);

}  // namespace twinwire::cli
