// SPDX-License-Identifier: Apache-2.0
// Link: both halves of one connection, whatever its transport. A virtual call per batch, none per message.
//
// The bus's own code is compiled once; what is compiled for each transport is LinkOf, and the doors and dialers of
// planes.h.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>

#include "transport/bus/ids.h"
#include "transport/seam.h"

namespace twinwire::bus {

class Link {
 public:
  // Drops the connection, without suspending, unless it has come to its end. No fiber may be inside it.
  virtual ~Link() = default;

  // As FramedReader::read_batch: waits for the next message, and takes with it what has arrived whole behind it, as far
  // as the transport can tell.
  // Errors     those of read_message
  virtual Result<void> read_batch(Batch& into, std::size_t max, Deadline deadline) = 0;
  // As the writer's.
  virtual Result<void> send_batch(Batch& batch, Deadline deadline) = 0;
  virtual Result<void> close(Duration grace) = 0;

  // Drops the connection: a reader that waits wakes with an error. No fiber may be inside send_batch or close.
  virtual void drop() noexcept = 0;
};

// One of the replica plane: whoever is at the other end has to prove who it is before anything else.
class ReplicaLink : public Link {
 public:
  // The id that the peer has proven to have; `whom`: who it should be.
  // Errors     those of the authenticator; the connection is of no more use
  virtual Result<ReplicaId> authenticate_dialer(Network& network, ReplicaId whom,
                                                Deadline deadline) = 0;
  virtual Result<ReplicaId> authenticate_acceptor(Network& network, Deadline deadline) = 0;
};

template <class Base, MessageReader Reader, MessageWriter Writer>
class LinkOf : public Base {
 public:
  LinkOf(Reader reader, Writer writer) : reader_(std::move(reader)), writer_(std::move(writer)) {}

  Result<void> read_batch(Batch& into, std::size_t max, Deadline deadline) final {
    if constexpr (requires { reader_.read_batch(into, max, deadline); }) {
      return reader_.read_batch(into, max, deadline);
    } else {
      auto message = reader_.read_message(max, deadline);
      if (!message) return message.error();
      into.push(std::move(*message));
      return {};
    }
  }
  Result<void> send_batch(Batch& batch, Deadline deadline) final {
    return writer_->send_batch(batch, deadline);
  }
  Result<void> close(Duration grace) final { return writer_->close(grace); }
  void drop() noexcept final { writer_.reset(); }

 protected:
  Reader reader_;
  std::optional<Writer> writer_;  // none once it was dropped
};

}  // namespace twinwire::bus
