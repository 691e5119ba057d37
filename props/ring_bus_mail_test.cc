// SPDX-License-Identifier: Apache-2.0
// The mail between shards on threads: a connection that finds its lane full stays where it was, and works.
// ctest: real_time
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "props/shards_fixture.h"
#include "real/shard_mail.h"

namespace twinwire::real {
namespace {

class RingBusMail : public ShardsRun {
 protected:
  static void say(Shard& shard, ByteStream& stream, std::string_view text) {
    const iovec piece{const_cast<char*>(text.data()), text.size()};
    const auto n = stream.write({&piece, 1}, soon(shard));
    ASSERT_TRUE(n.has_value());
    ASSERT_EQ(*n, text.size());
  }
  static std::string hear(Shard& shard, ByteStream& stream, std::size_t size) {
    std::string text;
    while (text.size() < size) {
      const auto slice = stream.read(soon(shard));
      if (!slice || slice->empty()) return text + "(end)";
      text.append(reinterpret_cast<const char*>(slice->data()), slice->size());
    }
    return text;
  }
};

// Counts what comes, and answers connections on their way.
class Counting final : public bus::MailReceiver {
 public:
  explicit Counting(Shard& shard) : shard_(&shard) {}
  void on_mail(std::uint16_t, const bus::Envelope&, Message) noexcept override { ++mail; }
  void on_stream(std::uint16_t, std::unique_ptr<ByteStream> stream) noexcept override {
    ++streams;
    shard_->scope().spawn("taken", [this, own = std::move(stream)] {
      const std::string_view text = "taken";
      const iovec piece{const_cast<char*>(text.data()), text.size()};
      EXPECT_TRUE(own->write({&piece, 1}, shard_->ring().clock().in(seconds(20))).has_value());
      (void)own->shutdown_write(shard_->ring().clock().in(seconds(20)));
      (void)own->read(shard_->ring().clock().in(seconds(20)));
    });
  }
  void on_stream_lost(std::uint16_t, Error) noexcept override { ++lost; }
  std::atomic<std::uint32_t> mail{0}, streams{0}, lost{0};

 private:
  Shard* shard_;
};

TEST_F(RingBusMail, a_connection_for_a_full_lane_stays_and_goes_once_there_is_room) {
  RingMailRoom room(2);
  std::atomic<bool> ready{false}, refused{false}, done{false};
  run({.count = 2, .mail_max = 8}, [&](Shard& shard) {
    RingShardMail mail(room, shard);
    Counting receiver(shard);
    mail.receive_by(&receiver);
    if (shard.index() == 1) {
      ready = true;
      // Keeps its thread, so that nothing is taken off the lane.
      while (!refused) std::this_thread::yield();
      until(shard, [&] { return done.load(); });
      EXPECT_EQ(receiver.mail, 8u);
      EXPECT_EQ(receiver.streams, 1u);
      EXPECT_EQ(receiver.lost, 0u);
      return mail.receive_by(nullptr);
    }
    until(shard, [&] { return ready.load(); });
    auto acceptor = shard.network().listen(loopback, {});
    ASSERT_TRUE(acceptor.has_value());
    auto far = shard.network().dial((*acceptor)->local(), {}, soon(shard));
    ASSERT_TRUE(far.has_value());
    auto near = (*acceptor)->accept(soon(shard));
    ASSERT_TRUE(near.has_value());
    Message none;
    Result<void> sent;
    for (std::uint32_t n = 0; n < 100 && sent; ++n) sent = mail.send(1, bus::Envelope{}, none);
    EXPECT_EQ(sent, Result<void>(Errc::backpressure));
    EXPECT_EQ(mail.hand_over(1, *near, soon(shard)), Result<void>(Errc::backpressure));
    EXPECT_NE(*near, nullptr) << "it is gone";
    refused = true;
    if (*near != nullptr) {
      say(shard, **far, "hello");
      EXPECT_EQ(hear(shard, **near, 5), "hello");
      say(shard, **near, "still here");
      EXPECT_EQ(hear(shard, **far, 10), "still here");
      Result<void> given = Errc::backpressure;
      until(shard, [&] { return (given = mail.hand_over(1, *near, soon(shard))).has_value(); });
      EXPECT_EQ(*near, nullptr);
      EXPECT_EQ(hear(shard, **far, 5), "taken");
    }
    done = true;
    mail.receive_by(nullptr);
  });
}

}  // namespace
}  // namespace twinwire::real
