// SPDX-License-Identifier: Apache-2.0
// ShardPort: where messages from other shards arrive. How what is read on one shard is spoken of on another, for
// connections that cannot be handed over (TLS, WebSocket, QUIC), and for answers on their way back.
//
//   ShardPort port(shard);                                // on the shard that receives
//   while (auto message = port.receive(deadline)) ...     // and port.sender() is made known to the others
//
//   auto sent = sender.send(shard, message);              // on any other: lent, not copied; backpressure: slow down
#pragma once

#include <deque>

#include "real/shard.h"
#include "transport/fiber/wait_queue.h"

namespace twinwire::real {

class ShardPort {
 public:
  // What others send by: a value that any thread may copy, and that may outlive the port.
  class Sender {
   public:
    Sender() noexcept = default;
    // From shard `from`, on its thread: Shard::post_message() to the port. What waits there is bounded by what each
    // shard may lend (ShardsOptions::loans_max), so nothing that was accepted is dropped for want of room.
    // Errors     backpressure · shutting_down · no_resources; `message` is untouched then
    Result<void> send(Shard& from, Message& message) const {
      return from.post_message(home_, message, [port = port_](Shard& there, Message arrived) {
        port->waiting_.push_back(std::move(arrived));
        port->receivers_.wake_one(there.scheduler());
      });
    }

   private:
    friend class ShardPort;
    Sender(ShardPort* port, std::uint32_t home) noexcept : port_(port), home_(home) {}

    ShardPort* port_ = nullptr;  // looked at on its own shard alone, while its body runs
    std::uint32_t home_ = 0;
  };

  // On the thread of `home`. Lives until the body of `home` has returned.
  explicit ShardPort(Shard& home) noexcept : home_(&home) {}
  ShardPort(const ShardPort&) = delete;
  ShardPort& operator=(const ShardPort&) = delete;

  Sender sender() noexcept { return {this, home_->index()}; }

  // On the home shard: the oldest message; one sender's come in its order.
  // Suspends   Until there is one.
  // Errors     timed_out · canceled
  Result<Message> receive(Deadline deadline) {
    while (waiting_.empty()) {
      const Wake wake =
          receivers_.wait(home_->scheduler(), deadline, "a message from another shard");
      if (wake != Wake::ready && waiting_.empty()) return to_errc(wake);
    }
    Message message = std::move(waiting_.front());
    waiting_.pop_front();
    if (!waiting_.empty()) receivers_.wake_one(home_->scheduler());
    return message;
  }

  std::size_t waiting() const noexcept { return waiting_.size(); }

 private:
  Shard* home_;
  std::deque<Message> waiting_;
  WaitQueue receivers_;
};

}  // namespace twinwire::real
