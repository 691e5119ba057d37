// SPDX-License-Identifier: Apache-2.0
// SimStream: one side of a simulated TCP connection as an application holds it. What it does to the wire: link.h.
#pragma once

#include <cstddef>
#include <span>

#include "sim/connection.h"
#include "transport/net/byte_stream.h"

namespace twinwire::sim {

class SimStream final : public ByteStream {
 public:
  SimStream(Connection& connection, unsigned side) noexcept;
  SimStream(const SimStream&) = delete;
  SimStream& operator=(const SimStream&) = delete;
  ~SimStream() override;

  Result<std::size_t> write(std::span<const iovec> pieces, Deadline deadline) override;
  Result<Slice> read(Deadline deadline) override;
  Result<std::size_t> read_into(std::span<std::byte> into, Deadline deadline) override;
  Result<void> shutdown_write(Deadline) override;
  void abort() noexcept override;
  Address local() const noexcept override { return local_; }
  Address peer() const noexcept override { return peer_; }

  // Names of its two directions, for looking inside.
  EntityId outgoing() const noexcept { return connection_->link(side_).entity(); }
  EntityId incoming() const noexcept { return connection_->link(1 - side_).entity(); }

  // The world is gone.
  void forget() noexcept { connection_ = nullptr; }
  // Its node is down: from now on every call is `canceled`, and without effect.
  void sever() noexcept {
    --connection_->world().sockets;
    connection_ = nullptr;
  }

 private:
  // Whether there is something to read: false at the end of the stream.
  Result<bool> wait_readable(Deadline deadline);
  // What a read gets of `available` bytes: less where a short read is drawn.
  std::size_t shorten_read(std::size_t available);
  std::size_t drawn_read(World& world, std::size_t available);
  Error failure(bool writing) noexcept;

  Connection* connection_;  // nullptr: severed
  unsigned side_;
  Address local_;
  Address peer_;
};

}  // namespace twinwire::sim
