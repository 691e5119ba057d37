// SPDX-License-Identifier: Apache-2.0
// A client plane over plain TCP whose connections are dealt out over the shards of the node, in turn: one shard
// accepts, and hands over. Other transports keep keys and buffers beside the stream; their clients stay on the shard
// that accepted them (open_client_plane, on each).
#pragma once

#include <memory>

#include "transport/bus/link.h"
#include "transport/bus/shard_router.h"

namespace twinwire::bus {

// Accepts at `address` until the shutdown, on this shard. Returns where it listens.
// Errors     as Network::listen · no_resources · shutting_down
Result<Address> open_dealt_client_plane(Bus& bus, ShardRouter& router, const Address& address);

// A client's connection over a stream that was accepted.
// Errors     no_resources; the stream is dropped
Result<std::unique_ptr<Link>> tcp_link(Network& network, std::unique_ptr<ByteStream> stream,
                                       const ConnOptions& options);

}  // namespace twinwire::bus
