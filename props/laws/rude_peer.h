// SPDX-License-Identifier: Apache-2.0
// RudePeer: bytes that no honest transport would send, and what a reader must make of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "props/laws/env.h"
#include "transport/base/error.h"
#include "transport/net/byte_stream.h"
#include "transport/tls/tls_stream.h"

namespace twinwire::laws {

enum class Rudeness : std::uint8_t {
  none,             // whole frames, then the end
  undersize,        // a size under 256
  oversize,         // a size over the reader's maximum
  huge,             // a size of many MiB, never sent
  unknown_command,  // above the last
  cut_header,       // the end inside a header
  cut_body,         // the end inside a body
  bad_seal,         // a flipped bit under a seal that is checked
};
inline constexpr std::size_t rudeness_count = 8;
std::string_view name(Rudeness rudeness) noexcept;

struct RudePlan {
  Rudeness rudeness = Rudeness::none;
  bool sealed = false;          // the reader verifies seals, and honest frames carry them
  std::size_t max = 0;          // the reader's maximum
  std::size_t good_frames = 0;  // sent before
  std::vector<std::vector<std::byte>> frames;
  std::vector<std::byte> bytes;  // everything that goes over the wire
  bool ends_stream = false;      // the peer ends its side after the bytes
  Errc expected = Errc::closed;  // how reading ends if every byte arrived
};
RudePlan rude_plan_of(Env& env);
// The same over WebSocket (props/laws/rude_ws.cc): the upgrade by hand, then each frame as a masked message; and rude
// frames of its own, before the last one.
RudePlan rude_ws_plan_of(Env& env);

// Connects as the transport does below its frames: what is written on this stream its reader takes for frames.
template <class T>
Result<std::unique_ptr<ByteStream>> dial_below_frames(Env& env, Network& network,
                                                      const Address& server, Deadline deadline) {
  auto stream = network.dial(server, {}, deadline);
  if constexpr (requires(typename T::Options options) { options.tls; }) {
    if (!stream) return stream;
    auto secured = tls_connect(network, std::move(*stream), env.dial_options<T>().tls, deadline);
    if (!secured) return secured.error();
    return std::move(*secured);
  }
  return stream;
}

// Writes all the bytes in pieces of drawn sizes. False if the network failed first.
bool write_bytes(Env& env, Network& network, ByteStream& stream,
                 const std::vector<std::byte>& bytes);

}  // namespace twinwire::laws
