// SPDX-License-Identifier: Apache-2.0
// Every receive buffer is held by somebody, and readers wait for one to come back: who is woken for it, and cannot take
// it, wakes the next in the row.
#include "props/ring_fixture.h"

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

}  // namespace
}  // namespace twinwire::real
