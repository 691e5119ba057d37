// SPDX-License-Identifier: Apache-2.0
// RingShardMail: what the bus of one shard says to those of the others, over the lanes of Shards: posts, and messages
// lent. Streams go by descriptor.
//
//   RingMailRoom room(2);                                         // one a node; outlives the run of the shards
//   auto shards = Shards::start({.count = 2}, [&](Shard& shard) {
//     RingShardMail mail(room, shard);                            // a bus::ShardMail
//     ...
//   });
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "real/handed_over.h"
#include "real/shard.h"
#include "transport/bus/shard_mail.h"

namespace twinwire::real {

// Where the mail of each shard arrives, so that others can name it.
class RingMailRoom {
 public:
  explicit RingMailRoom(std::uint16_t shards);
  RingMailRoom(const RingMailRoom&) = delete;
  RingMailRoom& operator=(const RingMailRoom&) = delete;

 private:
  friend class RingShardMail;
  // Touched on the thread of its shard alone.
  struct alignas(64) Desk {
    bus::MailReceiver* receiver = nullptr;
  };
  // Of one shard at another: what a post can carry by value.
  struct Inlet {
    Desk* desk = nullptr;
    std::uint16_t from = 0;
    void take(const bus::Envelope& envelope, Message message) const noexcept {
      if (desk->receiver != nullptr) desk->receiver->on_mail(from, envelope, std::move(message));
    }
  };
  struct MovingStream {
    HandedOver connection;
    const Inlet* inlet;
    void operator()(Shard& there);
  };
  const Inlet& inlet(std::uint32_t from, std::uint32_t to) const noexcept {
    return inlets_[from * desks_.size() + to];
  }

  std::vector<Desk> desks_;
  std::vector<Inlet> inlets_;
};

class RingShardMail final : public bus::ShardMail {
 public:
  // On the thread of `shard`; of the room that all shards of its run have.
  RingShardMail(RingMailRoom& room, Shard& shard) noexcept;
  RingShardMail(const RingShardMail&) = delete;
  RingShardMail& operator=(const RingShardMail&) = delete;
  ~RingShardMail();

  std::uint16_t shard() const noexcept override {
    return static_cast<std::uint16_t>(shard_->index());
  }
  std::uint16_t shards() const noexcept override {
    return static_cast<std::uint16_t>(shard_->count());
  }
  void receive_by(bus::MailReceiver* receiver) noexcept override;
  // ShardsOptions::mail_max and loans_max are what a lane bears.
  Result<void> send(std::uint16_t to, const bus::Envelope& envelope,
                    Message& message) noexcept override;
  // By HandedOver: plain TCP alone. A lane that is full gives the connection back.
  Result<void> hand_over(std::uint16_t to, std::unique_ptr<ByteStream>& stream,
                         Deadline deadline) override;

 private:
  RingMailRoom* room_;
  Shard* shard_;
};

}  // namespace twinwire::real
