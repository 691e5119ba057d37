// SPDX-License-Identifier: Apache-2.0
// A stream on which nothing ever arrives, and which takes what is written, or nothing: a peer of a bus that costs the
// bus's own work and no more. And a replica over such a stream.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "transport/bus/bus.h"
#include "transport/bus/link.h"
#include "transport/fiber/wait_queue.h"
#include "transport/tcp/tcp.h"

namespace twinwire::cost {

class StillStream final : public ByteStream {
 public:
  StillStream(Scheduler& scheduler, bool takes) noexcept : scheduler_(&scheduler), takes_(takes) {}

  Result<std::size_t> write(std::span<const iovec> pieces, Deadline deadline) override {
    if (!takes_) return wait(deadline);
    std::size_t total = 0;
    for (const iovec& piece : pieces) total += piece.iov_len;
    return total;
  }
  Result<Slice> read(Deadline deadline) override {
    const auto waited = wait(deadline);
    return waited.error();
  }
  Result<std::size_t> read_into(std::span<std::byte>, Deadline deadline) override {
    return wait(deadline);
  }
  Result<void> shutdown_write(Deadline) override { return {}; }
  void abort() noexcept override {
    aborted_ = true;
    waiting_.wake_all(*scheduler_);
  }
  Address local() const noexcept override { return {}; }
  Address peer() const noexcept override { return {}; }

 private:
  // Until it is dropped.
  Result<std::size_t> wait(Deadline deadline) {
    while (!aborted_) {
      const Wake wake = waiting_.wait(*scheduler_, deadline, "a stream that stands still");
      if (wake != Wake::ready) return to_errc(wake);
    }
    return Errc::broken;
  }

  Scheduler* scheduler_;
  WaitQueue waiting_;
  bool takes_;
  bool aborted_ = false;
};

// Connects a replica to the bus that says nothing, and takes everything. No resources: aborts.
class StillReplica final : public bus::Door<bus::ReplicaLink> {
 public:
  StillReplica(Network& network, bus::ReplicaId id) noexcept : network_(&network), id_(id) {}

  Result<std::pair<std::unique_ptr<bus::ReplicaLink>, Address>> accept(Deadline deadline) override {
    if (std::exchange(came_, true)) {
      WaitQueue nobody;
      return to_errc(nobody.wait(network_->scheduler(), deadline, "another replica"));
    }
    auto stream = std::make_unique<StillStream>(network_->scheduler(), true);
    auto conn = FramedConn::over(*network_, std::move(stream), {});
    if (!conn) return conn.error();
    auto [reader, writer] = split(std::move(*conn));
    return std::pair<std::unique_ptr<bus::ReplicaLink>, Address>(
        std::make_unique<Link>(std::move(reader), std::move(writer), id_), Address{});
  }

 private:
  struct Link final : bus::LinkOf<bus::ReplicaLink, FramedReader, FramedWriter> {
    Link(FramedReader reader, FramedWriter writer, bus::ReplicaId i)
        : LinkOf(std::move(reader), std::move(writer)), id(i) {}
    Result<bus::ReplicaId> authenticate_dialer(Network&, bus::ReplicaId, Deadline) override {
      return id;
    }
    Result<bus::ReplicaId> authenticate_acceptor(Network&, Deadline) override { return id; }
    bus::ReplicaId id;
  };

  Network* network_;
  bus::ReplicaId id_;
  bool came_ = false;
};

}  // namespace twinwire::cost
