// SPDX-License-Identifier: Apache-2.0
// The TCP transport: frames back to back on a byte stream. Start here.
//
//   auto listener = Tcp::listen(network, background, address, {});
//   auto conn     = Tcp::dial(network, address, {}, deadline);
//   auto [reader, writer] = split(std::move(*conn));
//   writer.send_batch(batch, deadline);        // framed_writer.cc: the path of a batch to the network
//   reader.read_message(max, deadline);        // framed_reader.cc
//
// What TCP cannot tell: a peer process that is killed between two frames reads as `closed`, as if it had said good-bye.
#pragma once

#include <string_view>

#include "transport/framed/framed_conn.h"
#include "transport/framed/framed_listener.h"
#include "transport/seam.h"

namespace twinwire {

struct Tcp {
  static constexpr std::string_view name = "tcp";
  static constexpr bool zero_copy = true;
  static constexpr bool bare_frames = true;
  using Options = ConnOptions;
  using Listener = FramedListener;
  using Conn = FramedConn;
  using Reader = FramedReader;
  using Writer = FramedWriter;

  // Listens on `address` and accepts in fibers of `background`. Never suspends.
  // Errors     as Network::listen
  static Result<FramedListener> listen(Network& network, Scope& background, const Address& address,
                                       const ConnOptions& options);
  // Errors     as Network::dial
  static Result<FramedConn> dial(Network& network, const Address& address,
                                 const ConnOptions& options, Deadline deadline);
};

static_assert(Transport<Tcp>);

}  // namespace twinwire
