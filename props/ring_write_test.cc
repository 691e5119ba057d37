// SPDX-License-Identifier: Apache-2.0
// What a write does beside writing: it ends when its time is up or its stream is dropped, and lets others run.
// ctest: real_time
#include <sys/socket.h>

#include <thread>

#include "props/ring_fixture.h"
#include "real/socket_address.h"

namespace twinwire::real {
namespace {

class RingWrite : public RingTest {};

TEST_F(RingWrite, one_whose_deadline_has_passed_writes_nothing) {
  for (const bool direct : {true, false}) {
    RingOptions options;
    options.direct_writes = direct;
    const Counters counters = run(options, [&](RingNetwork& network, Scope&) {
      auto [near, far] = connect(network);
      EXPECT_EQ(write_all(*near, pattern(100), Deadline{ring().now()}).error(), Errc::timed_out);
    });
    EXPECT_EQ(counters.bytes_sent, 0u);
  }
}

TEST_F(RingWrite, one_of_a_fiber_that_was_told_to_stop_writes_nothing) {
  const Counters counters = run({}, [&](RingNetwork& network, Scope& scope) {
    auto [near, far] = connect(network);
    const FiberHandle writer = scope.spawn("writer", [&, n = near.get()] {
      (void)ring().scheduler().sleep_for(seconds(10));
      EXPECT_EQ(write_all(*n, pattern(100), soon()).error(), Errc::canceled);
    });
    ring().scheduler().yield();
    ring().scheduler().cancel(writer);
    scope.join();
  });
  EXPECT_EQ(counters.bytes_sent, 0u);
}

TEST_F(RingWrite, an_abort_ends_one_that_waits) {
  run({}, [&](RingNetwork& network, Scope& scope) {
    StreamOptions small;
    small.send_buffer = small.receive_buffer = 4096;
    auto [near, far] = connect(network, small);
    TimePoint ended{};
    scope.spawn("writer", [&, n = near.get()] {
      EXPECT_EQ(write_all(*n, pattern(8'000'000), in(seconds(5))).error(), Errc::broken);
      ended = ring().now();
    });
    ASSERT_TRUE(ring().scheduler().sleep_for(milliseconds(50)));
    const TimePoint at = ring().now();
    near->abort();
    scope.join();
    EXPECT_LT(ended - at, seconds(1)) << "it slept on to its deadline";
    Result<Slice> end = far->read(soon());
    while (end && !end->empty()) end = far->read(soon());
    EXPECT_EQ(end.error(), Errc::broken);
  });
}

// The peer is a thread that takes everything: no write ever has to wait.
TEST_F(RingWrite, a_writer_without_pause_starves_nobody) {
  run({}, [&](RingNetwork& network, Scope& scope) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const SocketAddress any(loopback);
    ASSERT_EQ(::bind(listener, &any.any, any.length), 0);
    ASSERT_EQ(::listen(listener, 1), 0);
    std::thread sink([listener] {
      const int fd = ::accept(listener, nullptr, nullptr);
      std::vector<char> into(1 << 20);
      while (::recv(fd, into.data(), into.size(), 0) > 0) {}
      ::close(fd);
    });
    auto stream = network.dial(local_address(listener), {}, soon());
    EXPECT_TRUE(stream.has_value());
    bool other_ran = false;
    scope.spawn("other", [&] {
      (void)ring().scheduler().sleep_for(milliseconds(1));
      other_ran = true;
    });
    ring().scheduler().yield();
    for (int i = 0; i < 2'000'000 && !other_ran; ++i)
      ASSERT_TRUE(write_all(**stream, pattern(100), soon()).has_value());
    EXPECT_TRUE(other_ran) << "two million writes, and the other's millisecond has not passed";
    stream->reset();
    scope.join();
    sink.join();
    ::close(listener);
  });
}

}  // namespace
}  // namespace twinwire::real
