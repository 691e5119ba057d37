// SPDX-License-Identifier: Apache-2.0
// Every receive buffer is held by somebody, and readers wait for one to come back: who is woken for it, and cannot take
// it, wakes the next in the row.
#include <algorithm>

#include "props/ring_fixture.h"
#include "transport/tcp/tcp.h"

namespace twinwire::real {
namespace {

class RingBuffers : public RingTest {
 protected:
  // Calls `meanwhile` once the only buffer has come back, and before the first of two readers, who was woken for it,
  // runs. The second has to get it.
  template <class F>
  void expect_the_second_reads(bool provided, F&& meanwhile) {
    RingOptions options;
    options.receive_buffers_max = 1;
    options.multishot_receive = false;
    if (!provided) options.provided_buffers = 0;
    run(options, [&](RingNetwork& network, Scope& scope) {
      Pair holder = connect(network);
      Pair first = connect(network);
      Pair second = connect(network);
      for (Pair* pair : {&holder, &first, &second})
        ASSERT_TRUE(write_all(*pair->near, pattern(100), soon()).has_value());
      auto held = holder.far->read(soon());
      ASSERT_TRUE(held.has_value());
      Result<Slice> got = Errc::invalid;
      const FiberHandle first_reader =
          scope.spawn("first", [&] { EXPECT_FALSE(first.far->read(in(seconds(5))).has_value()); });
      scope.spawn("second", [&] { got = second.far->read(in(seconds(5))); });
      ASSERT_TRUE(ring().scheduler().sleep_for(milliseconds(1)));
      *held = Slice();
      meanwhile(*first.far, first_reader);
      scope.join();
      ASSERT_TRUE(got.has_value()) << "the wake stayed with who had no use for it";
      EXPECT_EQ(got->size(), 100u);
      *got = Slice();
    });
  }
};

TEST_F(RingBuffers, a_reader_whose_connection_was_dropped_passes_the_wake_on) {
  for (const bool provided : {true, false}) {
    SCOPED_TRACE(provided ? "the kernel picks the buffer" : "the reader does");
    expect_the_second_reads(provided, [](ByteStream& stream, FiberHandle) { stream.abort(); });
  }
}

TEST_F(RingBuffers, a_reader_that_was_told_to_stop_passes_the_wake_on) {
  for (const bool provided : {true, false}) {
    SCOPED_TRACE(provided ? "the kernel picks the buffer" : "the reader does");
    expect_the_second_reads(
        provided, [this](ByteStream&, FiberHandle reader) { ring().scheduler().cancel(reader); });
  }
}

// Frames are handed out where they lie only as long as the ring can spare the buffers: beyond that they are copied. And
// once they are dropped, their buffers count as spare again.
TEST_F(RingBuffers, who_holds_what_it_received_starves_nobody) {
  RingOptions options;
  options.receive_buffers_max = 64;
  run(options, [&](RingNetwork& network, Scope&) {
    run_scope(ring().scheduler(), [&](Scope& background) {
      auto listener = Tcp::listen(network, background, loopback, {});
      ASSERT_TRUE(listener.has_value());
      auto dialed = Tcp::dial(network, listener->local(), {}, soon());
      ASSERT_TRUE(dialed.has_value());
      auto accepted = listener->accept(soon());
      ASSERT_TRUE(accepted.has_value());
      auto [near_reader, writer] = split(std::move(*dialed));
      auto [reader, far_writer] = split(std::move(accepted->first));
      for (int round = 0; round < 2; ++round) {
        std::vector<Message> held;
        std::size_t lent = 0;
        for (int i = 0; i < 100; ++i) {
          auto message = MutableMessage::create(network.buffers(), Command::ping, 12'000);
          ASSERT_TRUE(message.has_value());
          Batch batch(1);
          batch.push(std::move(*message).freeze());
          ASSERT_TRUE(writer.send_batch(batch, soon()).has_value());
          auto got = reader.read_message(default_max_message, in(seconds(5)));
          ASSERT_TRUE(got.has_value()) << "round " << round << ", message " << i << " starved";
          held.push_back(std::move(*got));
          lent = std::max(lent, ring().core().receive_buffers().lent());
        }
        EXPECT_GE(lent, 4u) << "round " << round << ": nothing was handed out where it lay";
        EXPECT_LE(lent, 64u / 4 + 2) << "round " << round << ": a quarter, and what is being read";
      }
      background.cancel();
    });
  });
}

}  // namespace
}  // namespace twinwire::real
