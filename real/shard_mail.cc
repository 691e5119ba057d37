// SPDX-License-Identifier: Apache-2.0
#include "real/shard_mail.h"

#include <utility>

#include "transport/base/check.h"

namespace twinwire::real {

RingMailRoom::RingMailRoom(std::uint16_t shards)
    : desks_(shards), inlets_(std::size_t{shards} * shards) {
  for (std::uint16_t from = 0; from < shards; ++from)
    for (std::uint16_t to = 0; to < shards; ++to)
      inlets_[std::size_t{from} * shards + to] = {&desks_[to], from};
}

// Comes to the other shard, or is dropped there, which resets the connection.
void RingMailRoom::MovingStream::operator()(Shard& there) {
  bus::MailReceiver* const receiver = inlet->desk->receiver;
  if (receiver == nullptr) return;
  auto adopted = std::move(connection).adopt(there.ring());
  if (adopted)
    receiver->on_stream(inlet->from, std::move(*adopted));
  else
    receiver->on_stream_lost(inlet->from, adopted.error());
}

RingShardMail::RingShardMail(RingMailRoom& room, Shard& shard) noexcept
    : room_(&room), shard_(&shard) {
  TWINWIRE_CHECK(room.desks_.size() == shard.count(), "the room is for another number of shards");
}

RingShardMail::~RingShardMail() { receive_by(nullptr); }

void RingShardMail::receive_by(bus::MailReceiver* receiver) noexcept {
  room_->desks_[shard_->index()].receiver = receiver;
}

Result<void> RingShardMail::send(std::uint16_t to, const bus::Envelope& envelope,
                                 Message& message) noexcept {
  const RingMailRoom::Inlet* const inlet = &room_->inlet(shard_->index(), to);
  if (message.empty())
    return shard_->post(to, [inlet, envelope](Shard&) { inlet->take(envelope, {}); });
  return shard_->post_message(to, message, [inlet, envelope](Shard&, Message arrived) {
    inlet->take(envelope, std::move(arrived));
  });
}

Result<void> RingShardMail::hand_over(std::uint16_t to, std::unique_ptr<ByteStream>& stream,
                                      Deadline deadline) {
  auto taken = HandedOver::take(stream, deadline);
  if (!taken) return taken.error();
  RingMailRoom::MovingStream moving{std::move(*taken), &room_->inlet(shard_->index(), to)};
  // Moved from where it succeeds alone: as post() promises.
  const Result<void> posted = shard_->post(to, static_cast<RingMailRoom::MovingStream&&>(moving));
  if (posted) return posted;
  auto own = std::move(moving.connection).adopt(shard_->ring());
  if (own) stream = std::move(*own);
  return posted;
}

}  // namespace twinwire::real
