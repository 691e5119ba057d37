// SPDX-License-Identifier: Apache-2.0
// ShardRouter: joins the bus of one shard with those of the node's other shards.
//
//   OwnerTable owners;                                     // one a node
//   // on each shard:
//   auto bus = Bus::create(network, options, handler);     // options.shard, options.shards
//   auto router = ShardRouter::join(**bus, mail, owners);  // before planes are opened
//   ...
//   router.shut_down_all();                                // from any of them; each bus's shutdown_token() is set
//   bus.shut_down();                                       // on each: waits for the others where the order asks it
//
// What is forwarded goes over one lane for each pair of shards, in order. It is for the connection that the sender saw:
// where that is gone when the message arrives, or its queue is full, the message goes back to the shard that sent it,
// whose handler is told (on_forward_refused). No message is ever forwarded twice. docs/bus.md: Shards.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "transport/bus/bus.h"
#include "transport/bus/shard_mail.h"
#include "transport/conn_options.h"
#include "transport/fiber/scope.h"

namespace twinwire::bus {

struct RouterCounters {
  std::uint64_t forwarded = 0;        // messages that the lanes took
  std::uint64_t forward_refused = 0;  // that they did not
  std::uint64_t arrived = 0;          // of other shards
  std::uint64_t arrived_refused =
      0;                        // of those: their peer was gone, or its queue full; given back
  std::uint64_t came_back = 0;  // of the forwarded ones: so many were refused over there
  std::uint64_t untold =
      0;  // were to be given back, and could not: no memory, the sender has ended, or this one has, and finds no room
  std::uint64_t streams_given = 0;    // connections handed over to others
  std::uint64_t streams_lost = 0;     // that could neither go to another nor come back: closed
  std::uint64_t streams_taken = 0;    // and by others
  std::uint64_t streams_dropped = 0;  // closed: this shard was shutting down, or had no memory
};

class ShardRouter final : public Forwarder, private MailReceiver {
 public:
  // Makes `bus` one of several. All are borrowed: mail and owners outlive the bus, and it outlives this.
  // `clients`: of connections that other shards hand over.
  // Errors     no_resources · invalid (shard or number of shards are not those of `mail`)
  static Result<std::unique_ptr<ShardRouter>> join(Bus& bus, ShardMail& mail, OwnerTable& owners,
                                                   const ConnOptions& clients = {});
  ShardRouter(const ShardRouter&) = delete;
  ShardRouter& operator=(const ShardRouter&) = delete;
  // Aborts unless the bus was shut down. Until then what other shards still forward is given back to them, as
  // shutting_down; from then on it is lost.
  ~ShardRouter() { mail_->receive_by(nullptr); }

  // Triggers the shutdown of this bus, and of those of all other shards. Never suspends.
  void shut_down_all() noexcept;

  // Hands a connection over to the next shard in turn, which may be this one: then it stays, and `stream` with it.
  // Where it cannot go it stays, too. Gone and dropped, where it was lost on the way.
  // Suspends   As ShardMail::hand_over
  void deal(std::unique_ptr<ByteStream>& stream, Deadline deadline);
  const ConnOptions& clients() const noexcept { return clients_; }

  const RouterCounters& counters() const noexcept { return counters_; }
  // Messages that are to be given back, and wait for room on their way.
  std::size_t waiting() const noexcept;

  // --- Forwarder -----------------------------------------------------------------------------------------------------
  Result<void> forward(ClientId to, Message& message) noexcept override;
  Result<void> forward(ReplicaId to, OwnerClaim seen, Message& message) noexcept override;
  void await_all(ShutdownPhase phase, Deadline deadline) override;
  void end() override;

 private:
  struct Outgoing {
    Envelope envelope;
    Message message;
  };

  ShardRouter(Bus& bus, ShardMail& mail, const ConnOptions& clients);
  void on_mail(std::uint16_t from, const Envelope& envelope, Message message) noexcept override;
  void on_stream(std::uint16_t from, std::unique_ptr<ByteStream> stream) noexcept override;
  void on_stream_lost(std::uint16_t from, Error why) noexcept override;

  Result<void> forward(std::uint16_t shard, const Envelope& envelope, Message& message) noexcept;
  void on_late_mail(std::uint16_t from, const Envelope& envelope, Message& message) noexcept;
  void deliver(std::uint16_t from, const Envelope& envelope, Message& message) noexcept;
  void post(std::uint16_t to, const Envelope& envelope, Message message) noexcept;
  bool post_waiting() noexcept;
  void keep_posting();
  void drop_waiting() noexcept;
  // What says how far a shutdown has come is no message.
  void count_untold(const Outgoing& lost) noexcept { counters_.untold += !lost.message.empty(); }
  bool all_have(ShutdownPhase phase) const noexcept;

  Bus* bus_;
  ShardMail* mail_;
  ConnOptions clients_;
  std::vector<std::deque<Outgoing>>
      waiting_;                        // for each shard: what must not be lost for want of room
  std::vector<ShutdownPhase> phases_;  // of each shard
  std::uint16_t next_ = 0;             // to be dealt to
  RouterCounters counters_;
  WaitQueue post_;         // the fiber that posts what waits
  WaitQueue phased_;       // await_all
  bool all_told_ = false;  // to shut down
  bool ended_ = false;
  Scope fibers_;
};

}  // namespace twinwire::bus
