// SPDX-License-Identifier: Apache-2.0
// WatchedMail: the mail of one shard, under the eyes of a law: nothing that was forwarded is forwarded once more, and
// nobody forwards to itself. Law: bus_forward.
#pragma once

#include <memory>
#include <utility>

#include "props/laws/judge.h"
#include "transport/bus/shard_mail.h"

namespace twinwire::laws {

class WatchedMail final : public bus::ShardMail, private bus::MailReceiver {
 public:
  WatchedMail(Judge& judge, bus::ShardMail& mail) noexcept : judge_(&judge), mail_(&mail) {}

  std::uint16_t shard() const noexcept override { return mail_->shard(); }
  std::uint16_t shards() const noexcept override { return mail_->shards(); }
  void receive_by(bus::MailReceiver* receiver) noexcept override {
    receiver_ = receiver;
    mail_->receive_by(receiver == nullptr ? nullptr : this);
  }
  Result<void> send(std::uint16_t to, const bus::Envelope& envelope,
                    Message& message) noexcept override {
    if (forwards(envelope)) {
      judge_->check(!arriving_, "bus_forward", "what another shard has forwarded is forwarded on");
      judge_->check(to != shard(), "bus_forward", "a shard forwards to itself");
    }
    return mail_->send(to, envelope, message);
  }
  Result<void> hand_over(std::uint16_t to, std::unique_ptr<ByteStream>& stream,
                         Deadline deadline) override {
    return mail_->hand_over(to, stream, deadline);
  }

 private:
  static bool forwards(const bus::Envelope& envelope) noexcept {
    const auto kind = static_cast<bus::Envelope::Kind>(envelope.kind);
    return kind == bus::Envelope::Kind::to_client || kind == bus::Envelope::Kind::to_replica;
  }
  void on_mail(std::uint16_t from, const bus::Envelope& envelope,
               Message message) noexcept override {
    arriving_ = forwards(envelope);
    receiver_->on_mail(from, envelope, std::move(message));
    arriving_ = false;
  }
  void on_stream(std::uint16_t from, std::unique_ptr<ByteStream> stream) noexcept override {
    receiver_->on_stream(from, std::move(stream));
  }
  void on_stream_lost(std::uint16_t from, Error why) noexcept override {
    receiver_->on_stream_lost(from, why);
  }

  Judge* judge_;
  bus::ShardMail* mail_;
  bus::MailReceiver* receiver_ = nullptr;
  bool arriving_ = false;
};

}  // namespace twinwire::laws
