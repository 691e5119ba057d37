// SPDX-License-Identifier: Apache-2.0
// Deadlines and cancellation of every operation of the Ring: each returns, only after the kernel has let go, and no
// byte is lost or counted twice.
#include <csignal>

#include <algorithm>
#include <array>
#include <functional>

#include "props/ring_fixture.h"
#include "real/signal_wait.h"
#include "real/socket_address.h"

namespace twinwire::real {
namespace {

class RingCancel : public RingTest {
 protected:
  // Without operations that go on: what a test counts in flight is what its fibers asked for.
  static RingOptions one_at_a_time() {
    RingOptions options;
    options.multishot_receive = options.multishot_accept = false;
    options.direct_writes = false;
    return options;
  }

  // Runs `operation` with a deadline that passes, with one that has passed, and in a fiber that is canceled. Each must
  // end with that error, and when it has ended the kernel must have nothing of it left.
  void expect_it_can_be_ended(const std::function<Error(Deadline)>& operation) {
    const std::size_t before = ring().core().operations().in_flight();
    const Deadline deadline = in(milliseconds(20));
    EXPECT_EQ(operation(deadline), Errc::timed_out);
    EXPECT_GE(ring().clock().now(), deadline.at);
    EXPECT_EQ(ring().core().operations().in_flight(), before);

    // A deadline in the past ends it without the kernel.
    EXPECT_EQ(operation(Deadline{TimePoint{1}}), Errc::timed_out);

    run_scope(ring().scheduler(), [&](Scope& scope) {
      bool ended = false;
      const FiberHandle fiber = scope.spawn("to cancel", [&] {
        EXPECT_EQ(operation(soon()), Errc::canceled);
        EXPECT_EQ(ring().core().operations().in_flight(), before);
        EXPECT_EQ(operation(soon()), Errc::canceled);  // and each later one, at once
        ended = true;
      });
      (void)ring().scheduler().sleep_for(milliseconds(5));
      EXPECT_EQ(ring().core().operations().in_flight(), before + 1);
      ring().scheduler().cancel(fiber);
      scope.join();
      EXPECT_TRUE(ended);
    });
  }
};

template <class T>
Error error_in(const Result<T>& result) {
  EXPECT_FALSE(result.has_value());
  return result ? Error{} : result.error();
}

TEST_F(RingCancel, a_read_can_be_ended_and_the_stream_still_works) {
  for (const std::uint32_t provided : {512u, 0u}) {
    RingOptions options = one_at_a_time();
    options.provided_buffers = provided;
    run(options, [&](RingNetwork& network, Scope&) {
      auto [near, far] = connect(network);
      expect_it_can_be_ended([&, s = far.get()](Deadline d) { return error_in(s->read(d)); });
      std::array<std::byte, 100> room;
      expect_it_can_be_ended(
          [&, s = far.get()](Deadline d) { return error_in(s->read_into(room, d)); });
      ASSERT_TRUE(write_all(*near, pattern(100), soon()).has_value());
      EXPECT_EQ(*read_up_to(*far, 100, soon()), pattern(100));
    });
  }
}

TEST_F(RingCancel, a_write_can_be_ended_and_what_was_accepted_arrives) {
  run(one_at_a_time(), [&](RingNetwork& network, Scope& scope) {
    StreamOptions fixed;  // so that the kernel does not enlarge the buffers meanwhile
    fixed.send_buffer = 50'000;
    fixed.receive_buffer = 50'000;
    auto [near, far] = connect(network, fixed);
    // Fill both buffers: from then on a write waits.
    std::size_t accepted = 0;
    for (;;) {
      const auto bytes = pattern(100'000, accepted);
      const iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
      auto n = near->write({&piece, 1}, in(milliseconds(50)));
      if (!n) {
        EXPECT_EQ(n.error(), Errc::timed_out);
        break;
      }
      accepted += *n;
    }
    expect_it_can_be_ended([&, s = near.get()](Deadline d) {
      const auto bytes = pattern(100'000, accepted);
      const iovec pieces[2] = {{const_cast<std::byte*>(bytes.data()), 50'000},
                               {const_cast<std::byte*>(bytes.data() + 50'000), 50'000}};
      return error_in(s->write(pieces, d));
    });
    scope.spawn("reader", [&, s = far.get()] {
      const auto received = read_up_to(*s, accepted + 100, soon());
      ASSERT_TRUE(received.has_value());
      EXPECT_EQ(*received, pattern(accepted + 100));
    });
    EXPECT_TRUE(write_all(*near, pattern(100, accepted), soon()).has_value());
    scope.join();
  });
}

// After the peer's end poll(2) reports the socket at once, whether there is room or not; so the kernel gives up waiting
// for room by polling, and hands the write to a thread of its own. That is stopped by a signal: EINTR, not ECANCELED.
TEST_F(RingCancel, a_write_that_the_kernel_gave_to_a_thread_times_out_like_any_other) {
  run(one_at_a_time(), [&](RingNetwork& network, Scope&) {
    for (int round = 0; round < 10; ++round) {
      auto [near, far] = connect(network, {.send_buffer = 4096, .receive_buffer = 4096});
      ASSERT_TRUE(far->shutdown_write(soon()).has_value());
      std::vector<std::byte> bytes = pattern(200'000);
      const iovec piece{bytes.data(), bytes.size()};
      for (;;) {
        const auto n = near->write({&piece, 1}, in(milliseconds(2)));
        if (n) continue;
        EXPECT_EQ(n.error(), Errc::timed_out) << to_string(n.error());
        break;
      }
    }
  });
}

TEST_F(RingCancel, an_accept_can_be_ended_and_the_listener_still_works) {
  run(one_at_a_time(), [&](RingNetwork& network, Scope&) {
    auto acceptor = network.listen(loopback, {});
    expect_it_can_be_ended([&](Deadline d) { return error_in((*acceptor)->accept(d)); });
    auto near = network.dial((*acceptor)->local(), {}, soon());
    EXPECT_TRUE((*acceptor)->accept(soon()).has_value());
  });
}

TEST_F(RingCancel, a_dial_can_be_ended) {
  run(one_at_a_time(), [&](RingNetwork& network, Scope&) {
    // A listener whose backlog is full answers no more.
    ListenOptions options;
    options.backlog = 0;
    auto acceptor = network.listen(loopback, options);
    std::vector<std::unique_ptr<ByteStream>> queued;
    for (;;) {
      auto stream = network.dial((*acceptor)->local(), {}, in(milliseconds(50)));
      if (!stream) break;
      queued.push_back(std::move(*stream));
      ASSERT_LT(queued.size(), 100u);
    }
    expect_it_can_be_ended(
        [&](Deadline d) { return error_in(network.dial((*acceptor)->local(), {}, d)); });
  });
}

TEST_F(RingCancel, a_receive_of_a_datagram_can_be_ended) {
  run(one_at_a_time(), [&](RingNetwork& network, Scope&) {
    auto socket = network.bind(loopback, {});
    expect_it_can_be_ended([&](Deadline d) { return error_in((*socket)->receive(d)); });
  });
}

TEST_F(RingCancel, waiting_for_a_signal_can_be_ended_and_a_signal_arrives) {
  sigset_t old;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &old);
  run(one_at_a_time(), [&](RingNetwork&, Scope& scope) {
    auto signals = SignalWait::create(ring(), {SIGUSR1, SIGUSR2});
    ASSERT_TRUE(signals.has_value());
    expect_it_can_be_ended([&](Deadline d) { return error_in(signals->wait(d)); });
    scope.spawn("sender", [&] {
      (void)ring().scheduler().sleep_for(milliseconds(2));
      ::raise(SIGUSR2);
    });
    auto signal = signals->wait(soon());
    ASSERT_TRUE(signal.has_value());
    EXPECT_EQ(*signal, SIGUSR2);
  });
  ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

// Reads with deadlines so short that many end while bytes arrive: whatever the kernel had taken must be delivered.
TEST_F(RingCancel, a_canceled_read_loses_no_byte) {
  for (const std::uint32_t provided : {512u, 0u}) {
    RingOptions options = one_at_a_time();
    options.provided_buffers = provided;
    std::size_t ended = 0;
    const Counters counters = run(options, [&](RingNetwork& network, Scope& scope) {
      auto [near, far] = connect(network);
      constexpr std::size_t rounds = 1500;
      std::size_t sent = 0;
      bool done = false;
      scope.spawn("writer", [&, s = near.get()] {
        for (std::size_t i = 0; i < rounds; ++i) {
          const auto bytes = pattern(1 + i % 50, sent);
          ASSERT_TRUE(write_all(*s, bytes, soon()).has_value());
          sent += bytes.size();
          (void)ring().scheduler().sleep_for(microseconds(i % 90));
        }
        done = true;
      });
      std::size_t received = 0;
      for (std::size_t i = 0; !done || received < sent; ++i) {
        std::array<std::byte, 40> room;
        std::span<const std::byte> bytes;
        Slice slice;
        const Deadline deadline = in(microseconds(i % 60));
        if (i % 2 == 0) {
          auto n = far->read_into(room, deadline);
          if (n)
            bytes = {room.data(), *n};
          else
            ASSERT_EQ(n.error(), Errc::timed_out);
        } else {
          auto got = far->read(deadline);
          if (got)
            slice = std::move(*got);
          else
            ASSERT_EQ(got.error(), Errc::timed_out);
          bytes = slice.bytes();
        }
        ended += bytes.empty();
        for (const std::byte b : bytes) ASSERT_EQ(b, byte_at(received++));
        if (bytes.empty()) (void)ring().scheduler().sleep_for(microseconds(1));
      }
      EXPECT_EQ(received, sent);
      scope.join();
    });
    EXPECT_GT(ended, 100u);
    EXPECT_GT(counters.cancels, 100u);
  }
}

// The same for writes: what a write with a deadline reports is exactly what the peer reads.
TEST_F(RingCancel, a_canceled_write_reports_exactly_what_was_accepted) {
  const Counters counters = run(one_at_a_time(), [&](RingNetwork& network, Scope& scope) {
    StreamOptions small;
    small.send_buffer = 4096;
    small.receive_buffer = 4096;
    auto [near, far] = connect(network, small);
    constexpr std::size_t total = 400'000;
    scope.spawn("reader", [&, s = far.get()] {
      for (std::size_t received = 0; received < total;) {
        std::array<std::byte, 2000> room;
        auto n = s->read_into(room, soon());
        ASSERT_TRUE(n.has_value());
        for (std::size_t i = 0; i < *n; ++i) ASSERT_EQ(room[i], byte_at(received++));
        (void)ring().scheduler().sleep_for(microseconds(received % 50));
      }
    });
    std::size_t sent = 0;
    for (std::size_t i = 0; sent < total; ++i) {
      const auto bytes = pattern(std::min<std::size_t>(3000, total - sent), sent);
      const iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
      auto n = near->write({&piece, 1}, in(microseconds(5 + i % 60)));
      if (n)
        sent += *n;
      else
        ASSERT_EQ(n.error(), Errc::timed_out);
    }
    scope.join();
  });
  EXPECT_GT(counters.cancels, 100u);
  EXPECT_GT(counters.short_writes, 0u);
}

TEST_F(RingCancel, a_full_submission_queue_loses_no_cancel) {
  RingOptions options;
  options.submission_entries = 4;
  options.completion_entries = 8;
  const Counters counters = run(options, [&](RingNetwork& network, Scope&) {
    std::vector<Pair> pairs;
    for (int i = 0; i < 100; ++i) pairs.push_back(connect(network));
    run_scope(ring().scheduler(), [&](Scope& scope) {
      int canceled = 0;
      for (Pair& pair : pairs)
        scope.spawn("reader", [&] {
          EXPECT_EQ(pair.far->read(soon()).error(), Errc::canceled);
          ++canceled;
        });
      (void)ring().scheduler().sleep_for(milliseconds(2));
      scope.cancel();
      scope.join();
      EXPECT_EQ(canceled, 100);
    });
    // And cancels of operations that are themselves still waiting for room.
    run_scope(ring().scheduler(), [&](Scope& scope) {
      for (Pair& pair : pairs)
        scope.spawn("reader", [&] { EXPECT_EQ(pair.far->read(soon()).error(), Errc::canceled); });
      ring().scheduler().yield();
      scope.cancel();
      scope.join();
    });
    // And aborts.
    run_scope(ring().scheduler(), [&](Scope& scope) {
      for (Pair& pair : pairs)
        scope.spawn("reader", [&] { EXPECT_EQ(pair.far->read(soon()).error(), Errc::broken); });
      ring().scheduler().yield();
      for (Pair& pair : pairs) pair.far->abort();
      scope.join();
    });
  });
  EXPECT_GT(counters.queued, 100u);
  EXPECT_GE(counters.cancels, 300u);
}

TEST_F(RingCancel, a_success_that_came_before_the_cancel_is_delivered) {
  run(one_at_a_time(), [&](RingNetwork& network, Scope& scope) {
    auto [near, far] = connect(network);
    bool read = false;
    const FiberHandle reader = scope.spawn("reader", [&, s = far.get()] {
      auto bytes = s->read(soon());
      ASSERT_TRUE(bytes.has_value());
      EXPECT_EQ(bytes->size(), 10u);
      EXPECT_EQ(s->read(soon()).error(), Errc::canceled);
      read = true;
    });
    (void)ring().scheduler().sleep_for(milliseconds(2));
    // The write's and the read's completions arrive in one turn; the writer then runs first and cancels.
    ASSERT_TRUE(write_all(*near, pattern(10), soon()).has_value());
    ring().scheduler().cancel(reader);
    scope.join();
    EXPECT_TRUE(read);
  });
}

// The bytes are in the kernel's hands before the reader is told to stop, but the ring has not been asked since.
TEST_F(RingCancel, a_cancel_that_races_the_kernel_loses_no_byte) {
  std::uint64_t too_late = 0;
  for (const RingMode mode : {RingMode::deferred, RingMode::cooperative, RingMode::plain}) {
    RingOptions options;
    options.best_mode = mode;
    const Counters counters = run(options, [&](RingNetwork& network, Scope& scope) {
      auto acceptor = network.listen(loopback, {});
      const SocketAddress to((*acceptor)->local());
      const int peer = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      ASSERT_EQ(::connect(peer, &to.any, to.length), 0);
      auto far = (*acceptor)->accept(soon());
      std::size_t received = 0;
      const FiberHandle reader = scope.spawn("reader", [&, s = far->get()] {
        auto bytes = s->read(soon());
        if (bytes)
          received += bytes->size();
        else
          EXPECT_EQ(bytes.error(), Errc::canceled);
      });
      (void)ring().scheduler().sleep_for(milliseconds(2));
      ASSERT_EQ(::send(peer, "bytes", 5, MSG_NOSIGNAL), 5);
      ring().scheduler().cancel(reader);
      scope.join();
      if (received == 0) received += (*far)->read(soon())->size();
      EXPECT_EQ(received, 5u);
      ::close(peer);
    });
    too_late += counters.cancels_too_late;
  }
  EXPECT_GT(too_late, 0u);
}

TEST_F(RingCancel, a_ring_with_nothing_to_wait_for_is_stuck_and_can_be_unwound) {
  auto ring = Ring::create({});
  ASSERT_TRUE(ring.has_value());
  Scope root((*ring)->scheduler());
  root.spawn("waits for nothing", [&] {
    EXPECT_EQ((*ring)->scheduler().park(Deadline::never(), "nothing"), Wake::canceled);
  });
  EXPECT_EQ((*ring)->scheduler().run(), Scheduler::Outcome::stuck);
  (*ring)->scheduler().cancel_all();
  EXPECT_EQ((*ring)->scheduler().run(), Scheduler::Outcome::finished);
}

TEST_F(RingCancel, sleepers_wake_in_order_and_not_early) {
  run(one_at_a_time(), [&](RingNetwork&, Scope& scope) {
    std::vector<int> order;
    for (const int ms : {30, 10, 20, 1})
      scope.spawn("sleeper", [&, ms] {
        const TimePoint until = ring().clock().in(milliseconds(ms)).at;
        ASSERT_TRUE(ring().scheduler().sleep_until(until).has_value());
        EXPECT_GE(ring().clock().now(), until);
        order.push_back(ms);
      });
    scope.join();
    EXPECT_EQ(order, (std::vector<int>{1, 10, 20, 30}));
  });
}

}  // namespace
}  // namespace twinwire::real
