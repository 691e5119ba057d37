// SPDX-License-Identifier: Apache-2.0
// PlainAuthenticator: stands in for the handshake of replicas where what counts is the bus. Both sides say who they are
// and show a word that all of a cluster know; three messages, so that neither is through before both have looked.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "transport/bus/ids.h"
#include "transport/seam.h"

namespace twinwire::laws {

struct PlainAuthenticator {
  bus::ReplicaId own = 0;
  std::uint64_t word = 0;

  template <class Reader, class Writer>
  Result<bus::ReplicaId> dial(Network& network, Reader& reader, Writer& writer,
                              bus::ReplicaId /*whom*/, std::span<const std::byte> /*binding*/,
                              Deadline deadline) const {
    if (const auto said = say(network, writer, Command::ping, deadline); !said) return said.error();
    const auto peer = hear(reader, Command::pong, deadline);
    if (!peer) return peer.error();
    if (const auto said = say(network, writer, Command::ping, deadline); !said) return said.error();
    return *peer;
  }
  template <class Reader, class Writer>
  Result<bus::ReplicaId> accept(Network& network, Reader& reader, Writer& writer,
                                std::span<const std::byte> /*binding*/, Deadline deadline) const {
    const auto peer = hear(reader, Command::ping, deadline);
    if (!peer) return peer.error();
    if (const auto said = say(network, writer, Command::pong, deadline); !said) return said.error();
    const auto again = hear(reader, Command::ping, deadline);
    if (!again) return again.error();
    if (*again != *peer) return Errc::handshake;
    return *peer;
  }

 private:
  template <class Writer>
  Result<void> say(Network& network, Writer& writer, Command command, Deadline deadline) const {
    auto made = MutableMessage::create(network.buffers(), command, 0);
    if (!made) return made.error();
    made->set_replica(own);
    made->set_cluster({word, word});
    Batch batch(1);
    batch.push(std::move(*made).freeze());
    return writer.send_batch(batch, deadline);
  }
  template <class Reader>
  Result<bus::ReplicaId> hear(Reader& reader, Command command, Deadline deadline) const {
    const auto message = reader.read_message(header_size, deadline);
    if (!message) return message.error();
    const bool known =
        message->header().command() == command && message->header().cluster() == U128{word, word};
    if (!known) return Errc::handshake;
    return message->header().replica();
  }
};

}  // namespace twinwire::laws
