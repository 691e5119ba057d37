// SPDX-License-Identifier: Apache-2.0
// read_batch and direct writes over real sockets: every message once, in order, whole, however they come together.
#include <vector>

#include "props/ring_fixture.h"
#include "transport/tcp/tcp.h"

namespace twinwire::real {
namespace {

class RingReadBatch : public RingTest {
 protected:
  // `total` messages of `size` bytes and more, in batches that grow; the far end reads batches and sends them back.
  Counters echo(const RingOptions& options, std::uint32_t total, std::size_t size) {
    return run(options, [&](RingNetwork& network, Scope& scope) {
      auto listener = Tcp::listen(network, scope, loopback, {});
      ASSERT_TRUE(listener.has_value());
      run_scope(ring().scheduler(), [&](Scope& ends) {
        ends.spawn("far", [&] {
          auto accepted = listener->accept(soon());
          ASSERT_TRUE(accepted.has_value());
          auto [reader, writer] = split(std::move(accepted->first));
          Batch batch(64);
          while (reader.read_batch(batch, default_max_message, soon()))
            ASSERT_TRUE(writer.send_batch(batch, soon()));
          EXPECT_TRUE(batch.empty());
          (void)writer.close(seconds(5));
        });
        auto conn = Tcp::dial(network, listener->local(), {}, soon());
        ASSERT_TRUE(conn.has_value());
        auto [reader, writer] = split(std::move(*conn));
        Batch batch(512);
        std::uint32_t echoed = 0;
        for (std::uint32_t sent = 0; sent < total;) {
          for (std::uint32_t i = 0; i <= sent % 100 && sent < total; ++i, ++sent) {
            auto message = MutableMessage::create(network.buffers(), Command::request, size + i);
            ASSERT_TRUE(message.has_value());
            message->set_view(sent);
            std::ranges::fill(message->body(), static_cast<std::byte>(sent));
            batch.push(std::move(*message).freeze());
          }
          ASSERT_TRUE(writer.send_batch(batch, soon()));
          while (echoed < sent) {
            ASSERT_TRUE(reader.read_batch(batch, default_max_message, soon()));
            for (const Message& message : batch.messages()) {
              ASSERT_EQ(message.header().view(), echoed);
              for (const std::byte b : message.body()) ASSERT_EQ(b, static_cast<std::byte>(echoed));
              ++echoed;
            }
            batch.clear();
          }
        }
        EXPECT_TRUE(writer.close(seconds(5)));
      });
      scope.cancel();
    });
  }
};

TEST_F(RingReadBatch, small_messages_come_back_in_order) { (void)echo({}, 3'000, 0); }

TEST_F(RingReadBatch, large_messages_lie_across_buffers) { (void)echo({}, 300, 20'000); }

TEST_F(RingReadBatch, by_the_ring_alone) {
  RingOptions options;
  options.direct_writes = false;
  EXPECT_EQ(echo(options, 1'000, 10).direct_writes, 0U);
}

TEST_F(RingReadBatch, with_buffers_that_are_scarce) {
  RingOptions options;
  options.receive_buffers_max = 4;
  options.provided_buffers = 2;
  (void)echo(options, 1'000, 700);
}

TEST_F(RingReadBatch, a_direct_write_that_meets_a_reset_is_broken_and_is_counted) {
  const Counters counters = run({}, [&](RingNetwork& network, Scope&) {
    auto [near, far] = connect(network);
    ASSERT_TRUE(write_all(*near, pattern(100), soon()));
    far->abort();
    ASSERT_TRUE(ring().scheduler().sleep_for(milliseconds(2)));
    EXPECT_EQ(write_all(*near, pattern(100), soon()).error(), Errc::broken);
    EXPECT_EQ(near->read(soon()).error(), Errc::broken);
  });
  EXPECT_GE(counters.resets_met, 1U);
  EXPECT_GE(counters.direct_writes, 2U) << "one fiber alone writes by a system call";
}

}  // namespace
}  // namespace twinwire::real
