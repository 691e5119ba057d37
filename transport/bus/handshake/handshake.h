// SPDX-License-Identifier: Apache-2.0
// Two replicas show each other who they are, over a connection that was just made. Start here.
//
//   auto conn = Tls::dial(network, address, tls_options, deadline);
//   const auto binding = conn->channel_binding();            // before it is split; unsupported over TCP
//   options.channel_needed = true;                            // over TLS
//   auto [reader, writer] = split(std::move(*conn));
//   auto peer = authenticate_dialer(network, reader, writer, options, bytes_of(binding), deadline);
//   // and the other side: authenticate_acceptor(network, reader, writer, options, bytes_of(binding), deadline);
//
// The protocol and what it protects from: docs/handshake.md. The state machine: handshake_core.h. The bytes:
// handshake_frame.h and handshake_tag.h. What is remembered: nonce_cache.h.
#pragma once

#include <algorithm>
#include <span>

#include "transport/bus/handshake/handshake_core.h"
#include "transport/bus/handshake/handshake_options.h"
#include "transport/net/network.h"
#include "transport/seam.h"

namespace twinwire::bus {

// No bytes where the channel does not encrypt.
inline std::span<const std::byte> bytes_of(const Result<ChannelBinding>& binding) noexcept {
  return binding ? std::span<const std::byte>(*binding) : std::span<const std::byte>();
}

// Never used before, so far as the network's Random is one.
HandshakeNonce draw_nonce(Random& random) noexcept;
// The frame as a message to send, sealed where the options want it.
// Errors     no_resources
Result<Message> message_of(const HandshakeFrame& frame, BufferPool& pool, bool sealed) noexcept;

// What authenticate_*() do, with a core whose end the caller may look at. Its options are the same.
template <MessageReader R, MessageWriter W>
Result<ReplicaPeer> run_handshake(HandshakeCore& core, Network& network, R& reader, W& writer,
                                  const HandshakeOptions& options, Deadline deadline) {
  // How long who was refused may take to read that, before the reset.
  constexpr Duration farewell = std::chrono::seconds(1);
  Batch batch;
  if (!batch.reserve(1)) return Errc::no_resources;
  for (;;) {
    const auto frame = core.take_output();
    if (frame) {
      auto message = message_of(*frame, network.buffers(), options.sealed);
      if (!message) return message.error();
      batch.push(std::move(*message));
      if (auto sent = writer.send_batch(batch, deadline); !sent) return sent.error();
    }
    if (core.state() == HandshakeCore::State::verified) return core.peer();
    if (core.state() == HandshakeCore::State::rejected) {
      if (frame) (void)writer.close(std::min(farewell, deadline.at - network.clock().now()));
      return Errc::handshake;
    }
    auto message = reader.read_message(header_size, deadline);
    if (!message) return message.error();
    core.receive(message->bytes(), network.clock().unix_now_ns());
  }
}

template <MessageReader R, MessageWriter W>
Result<ReplicaPeer> authenticate_as(HandshakeRole role, Network& network, R& reader, W& writer,
                                    const HandshakeOptions& options,
                                    std::span<const std::byte> channel_binding, Deadline deadline,
                                    Rejection* why) {
  const HandshakeNonce nonce = draw_nonce(network.random());
  HandshakeCore core(role, options, channel_binding, nonce, network.clock().unix_now_ns());
  auto peer = run_handshake(core, network, reader, writer, options, deadline);
  if (why != nullptr) *why = core.rejection();
  return peer;
}

// The side that dialed.
//
// Promise    Success: the peer has the key, is options.peer_id, is the other end of this channel, answered just now,
//            and has verified this side. It is the side that learns last: the acceptor may have verified a dialer that
//            never comes to know.
//            Failure: nothing is known of the peer. Destroy both halves, which drops the connection. Why is counted in
//            options.memory->counters, and told in `why`, for the log.
// Requires   A connection on which nothing was sent or read; options.memory, options.peer_id, and what HandshakeOptions
//            say. `channel_binding`: at most 64 bytes; none over TCP; where the connection encrypts, always: without it
//            whoever ends the encryption in between can pass everything on.
// Memory     A message and a batch for each that is sent.
// Suspends   Until the peer has answered, twice.
// Errors     handshake (either side refuses the other) · timed_out · canceled · closed, broken (the peer ended it, as
//            it does where it refuses a message) · invalid (a frame with a body, or none) · no_resources
template <MessageReader R, MessageWriter W>
Result<ReplicaPeer> authenticate_dialer(Network& network, R& reader, W& writer,
                                        const HandshakeOptions& options,
                                        std::span<const std::byte> channel_binding,
                                        Deadline deadline, Rejection* why = nullptr) {
  return authenticate_as(HandshakeRole::dialer, network, reader, writer, options, channel_binding,
                         deadline, why);
}

// The side that accepted.
//
// Promise    Success: the peer has the key, is the replica whose id is told, is the other end of this channel, is live,
//            and has verified this side. Whether the last message arrives is not known: where it does not, the dialer
//            drops the connection, which then ends as any other.
//            Failure: as authenticate_dialer. A dialer that is refused for its clock or its id has been told so, if it
//            had proven to be live; who has not learns nothing but that the connection ends.
// Requires   As authenticate_dialer, without the peer's id.
// Suspends   Until the peer has spoken, twice; and for at most 1 s more, so that who is refused can read it. Bound it:
//            a mute peer takes as long as the deadline lets it.
// Errors     as authenticate_dialer
template <MessageReader R, MessageWriter W>
Result<ReplicaPeer> authenticate_acceptor(Network& network, R& reader, W& writer,
                                          const HandshakeOptions& options,
                                          std::span<const std::byte> channel_binding,
                                          Deadline deadline, Rejection* why = nullptr) {
  return authenticate_as(HandshakeRole::acceptor, network, reader, writer, options, channel_binding,
                         deadline, why);
}

// The same as one value, for whoever makes connections and hands each to be authenticated: the bus.
class KeyedHandshake {
 public:
  // Its memory outlives every handshake; peer_id is given with each.
  explicit KeyedHandshake(const HandshakeOptions& options) noexcept : options_(options) {}

  // As authenticate_dialer and authenticate_acceptor; success is the peer's id.
  template <MessageReader R, MessageWriter W>
  Result<std::uint8_t> dial(Network& network, R& reader, W& writer, std::uint8_t whom,
                            std::span<const std::byte> channel_binding, Deadline deadline) const {
    HandshakeOptions options = options_;
    options.peer_id = whom;
    auto peer = authenticate_dialer(network, reader, writer, options, channel_binding, deadline);
    if (!peer) return peer.error();
    return peer->id;
  }
  template <MessageReader R, MessageWriter W>
  Result<std::uint8_t> accept(Network& network, R& reader, W& writer,
                              std::span<const std::byte> channel_binding, Deadline deadline) const {
    auto peer = authenticate_acceptor(network, reader, writer, options_, channel_binding, deadline);
    if (!peer) return peer.error();
    return peer->id;
  }

 private:
  HandshakeOptions options_;
};

}  // namespace twinwire::bus
