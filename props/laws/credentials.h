// SPDX-License-Identifier: Apache-2.0
// What scenarios give to transports that need certificates: a test authority, minted once, the same in every process.
#pragma once

#include "transport/quic/quic_options.h"

namespace twinwire::laws {

void prepare_listener(QuicOptions& options, bool simulated);
void prepare_dialer(QuicOptions& options, bool simulated);

}  // namespace twinwire::laws
