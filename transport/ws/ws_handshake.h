// SPDX-License-Identifier: Apache-2.0
// The upgrade over a stream, either role. What comes behind it belongs to the first frame, and is handed back.
#pragma once

#include "transport/handshake_terms.h"
#include "transport/net/byte_stream.h"
#include "transport/net/clock.h"
#include "transport/net/random.h"
#include "transport/ws/ws_options.h"

namespace twinwire::ws {

// Sends the request and checks the reply. The slice: bytes behind the reply.
// Errors     handshake (the server refused, or is none) · broken · timed_out · canceled · no_resources
Result<Slice> upgrade_as_client(ByteStream& stream, const WsOptions& options, Random& random,
                                Deadline deadline);

// Reads the request and answers it; a wrong one gets its HTTP status and time to read it, and is explained.
// Errors     handshake (refused) · broken · timed_out · canceled · no_resources
Result<Slice> upgrade_as_server(ByteStream& stream, const WsOptions& options, Clock& clock,
                                HandshakeTerms terms);

}  // namespace twinwire::ws
