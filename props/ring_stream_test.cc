// SPDX-License-Identifier: Apache-2.0
// TCP streams on a Ring, over loopback: what ByteStream and Acceptor promise, against the real kernel.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "props/ring_fixture.h"
#include "real/memory_check.h"  // RUNNING_ON_VALGRIND

namespace twinwire::real {
namespace {

struct Machine {
  RingMode mode;
  std::uint32_t provided_buffers;
};

// Every test of this suite runs in each mode that the kernel has, with provided buffers and without.
class RingStreams : public RingTest, public ::testing::WithParamInterface<Machine> {
 protected:
  static RingOptions options() {
    RingOptions options;
    options.best_mode = GetParam().mode;
    options.provided_buffers = GetParam().provided_buffers;
    return options;
  }
};

std::string name_of(const ::testing::TestParamInfo<Machine>& machine) {
  constexpr std::array modes{"deferred", "cooperative", "plain"};
  return std::string(modes[static_cast<std::size_t>(machine.param.mode)]) +
         (machine.param.provided_buffers != 0 ? "" : "_own_buffers");
}

const Machine machines[] = {{RingMode::deferred, 512},
                            {RingMode::deferred, 0},
                            {RingMode::cooperative, 512},
                            {RingMode::plain, 512}};
INSTANTIATE_TEST_SUITE_P(Modes, RingStreams, ::testing::ValuesIn(machines), name_of);

TEST_P(RingStreams, bytes_written_are_read_on_the_other_side_in_both_directions) {
  run(options(), [&](RingNetwork& network, Scope&) {
    auto [near, far] = connect(network);
    EXPECT_EQ(near->local(), far->peer());
    EXPECT_EQ(near->peer(), far->local());
    const auto bytes = pattern(1000);
    ASSERT_TRUE(write_all(*near, bytes, soon()));
    EXPECT_EQ(*read_up_to(*far, 1000, soon()), bytes);
    ASSERT_TRUE(write_all(*far, bytes, soon()));
    std::vector<std::byte> back(2000);
    auto n = near->read_into(back, soon());
    ASSERT_TRUE(n.has_value());
    back.resize(*n);
    EXPECT_EQ(back, bytes);
  });
}

TEST_P(RingStreams, small_buffers_make_writes_short_and_lose_no_byte) {
  const Counters counters = run(options(), [&](RingNetwork& network, Scope& scope) {
    StreamOptions small;
    small.send_buffer = 4096;
    small.receive_buffer = 4096;
    auto [near, far] = connect(network, small);
    const std::size_t total = 1 << 20;
    scope.spawn("writer", [&, stream = near.get()] {
      const auto bytes = pattern(total);
      // Pieces of odd sizes, some of them empty, so that short writes end inside pieces.
      std::size_t written = 0;
      while (written < total) {
        std::vector<iovec> pieces;
        for (std::size_t at = written, i = 0; at < total && pieces.size() < 1024; ++i) {
          const std::size_t size =
              std::min<std::size_t>(i % 5 == 0 ? 0 : 61 + 37 * (i % 7), total - at);
          pieces.push_back({const_cast<std::byte*>(bytes.data() + at), size});
          at += size;
        }
        auto n = stream->write(pieces, soon());
        ASSERT_TRUE(n.has_value()) << to_string(n.error());
        ASSERT_GE(*n, 1u);
        written += *n;
      }
      ASSERT_TRUE(stream->shutdown_write(Deadline::never()).has_value());
    });
    std::size_t received = 0;
    for (int round = 0;; ++round) {
      if (round % 8 == 0) (void)ring().scheduler().sleep_for(microseconds(200));  // a slow reader
      std::array<std::byte, 3000> piece;
      auto n = far->read_into(piece, soon());
      ASSERT_TRUE(n.has_value());
      if (*n == 0) break;
      for (std::size_t i = 0; i < *n; ++i) ASSERT_EQ(piece[i], byte_at(received + i));
      received += *n;
    }
    EXPECT_EQ(received, total);
    scope.join();
  });
  EXPECT_GT(counters.short_writes, 0u);
}

TEST_P(RingStreams, a_clean_close_reads_as_the_end_now_and_later) {
  const Counters counters = run(options(), [&](RingNetwork& network, Scope&) {
    auto [near, far] = connect(network);
    ASSERT_TRUE(write_all(*near, pattern(10), soon()));
    ASSERT_TRUE(near->shutdown_write(Deadline::never()).has_value());
    EXPECT_TRUE(near->shutdown_write(Deadline::never()).has_value());  // idempotent
    const iovec piece{&network, 1};
    EXPECT_EQ(near->write({&piece, 1}, soon()).error(), Errc::broken);
    EXPECT_EQ(read_up_to(*far, 100, soon())->size(), 10u);
    EXPECT_TRUE(far->read(soon())->empty());
    std::array<std::byte, 4> room;
    EXPECT_EQ(*far->read_into(room, soon()), 0u);
    // The other direction is still open.
    ASSERT_TRUE(write_all(*far, pattern(20), soon()));
    EXPECT_EQ(*read_up_to(*near, 20, soon()), pattern(20));
    ASSERT_TRUE(far->shutdown_write(Deadline::never()).has_value());
    EXPECT_TRUE(near->read(soon())->empty());
  });
  EXPECT_EQ(counters.resets_sent, 0u);
  EXPECT_EQ(counters.resets_met, 0u);
}

TEST_P(RingStreams, an_abort_gives_the_peer_a_reset_and_never_an_end) {
  const Counters counters = run(options(), [&](RingNetwork& network, Scope&) {
    auto [near, far] = connect(network);
    near->abort();
    near->abort();  // idempotent
    auto slice = far->read(soon());
    ASSERT_FALSE(slice.has_value());
    EXPECT_EQ(slice.error(), Errc::broken);
    EXPECT_EQ(slice.error().os_errno, ECONNRESET);
    EXPECT_EQ(far->read(soon()).error(), Errc::broken);  // the kernel would say: the end
    EXPECT_EQ(write_all(*far, pattern(1), soon()).error(), Errc::broken);
    // On the side that aborted nothing works any more.
    EXPECT_EQ(near->read(soon()).error(), Errc::broken);
    EXPECT_EQ(write_all(*near, pattern(1), soon()).error(), Errc::broken);
    EXPECT_EQ(near->shutdown_write(Deadline::never()).error(), Errc::broken);
  });
  EXPECT_GE(counters.resets_sent, 1u);
  EXPECT_GE(counters.resets_met, 1u);
}

TEST_P(RingStreams, a_reset_that_the_writer_met_does_not_read_as_an_end) {
  run(options(), [&](RingNetwork& network, Scope&) {
    auto [near, far] = connect(network);
    near->abort();
    (void)ring().scheduler().sleep_for(milliseconds(1));
    // The kernel tells the first who asks, and that is the writer.
    EXPECT_EQ(write_all(*far, pattern(1), soon()).error(), Errc::broken);
    EXPECT_EQ(far->read(soon()).error(), Errc::broken);
  });
}

TEST_P(RingStreams, a_stream_that_is_destroyed_unfinished_resets) {
  run(options(), [&](RingNetwork& network, Scope&) {
    auto [near, far] = connect(network);
    ASSERT_TRUE(near->shutdown_write(Deadline::never()).has_value());
    near.reset();  // its peer's end was not read
    auto bytes = far->read(soon());
    while (bytes && !bytes->empty()) bytes = far->read(soon());
    // The end came first, so it may be read as one; a write then meets the reset.
    (void)write_all(*far, pattern(1), soon());
    EXPECT_EQ(write_all(*far, pattern(1), soon()).error(), Errc::broken);
  });
}

TEST_P(RingStreams, a_stream_that_is_destroyed_open_reads_as_broken_and_not_as_an_end) {
  run(options(), [&](RingNetwork& network, Scope&) {
    auto [near, far] = connect(network);
    near.reset();
    EXPECT_EQ(far->read(soon()).error(), Errc::broken);
  });
}

TEST_P(RingStreams, an_abort_wakes_the_fibers_inside_with_broken) {
  run(options(), [&](RingNetwork& network, Scope& scope) {
    auto [near, far] = connect(network);
    int broken = 0;
    scope.spawn("reader", [&, stream = near.get()] {
      EXPECT_EQ(stream->read(soon()).error(), Errc::broken);
      ++broken;
    });
    scope.spawn("writer", [&, stream = near.get()] {
      const auto bytes = pattern(64 << 20);  // more than any buffer takes
      EXPECT_EQ(write_all(*stream, bytes, soon()).error(), Errc::broken);
      ++broken;
    });
    (void)ring().scheduler().sleep_for(milliseconds(5));
    near->abort();
    scope.join();
    EXPECT_EQ(broken, 2);
    auto bytes = far->read(soon());
    while (bytes && !bytes->empty()) bytes = far->read(soon());
    EXPECT_EQ(bytes.error(), Errc::broken);
  });
}

TEST_P(RingStreams, five_hundred_connections_echo) {
  constexpr int connections = 500;
  const Counters counters = run(options(), [&](RingNetwork& network, Scope& scope) {
    auto acceptor = network.listen(loopback, {});
    ASSERT_TRUE(acceptor.has_value());
    scope.spawn("acceptor", [&] {
      run_scope(ring().scheduler(), [&](Scope& handlers) {
        for (int i = 0; i < connections; ++i) {
          auto stream = (*acceptor)->accept(soon());
          ASSERT_TRUE(stream.has_value()) << to_string(stream.error());
          handlers.spawn("echo", [&, s = std::move(*stream)] {
            for (;;) {
              auto bytes = s->read(soon());
              ASSERT_TRUE(bytes.has_value()) << to_string(bytes.error());
              if (bytes->empty()) break;
              ASSERT_TRUE(write_all(*s, bytes->bytes(), soon()).has_value());
            }
            EXPECT_TRUE(s->shutdown_write(Deadline::never()).has_value());
          });
        }
      });
    });
    for (int i = 0; i < connections; ++i)
      scope.spawn("client", [&, i] {
        auto stream = network.dial((*acceptor)->local(), {}, soon());
        ASSERT_TRUE(stream.has_value()) << to_string(stream.error());
        for (std::size_t round = 0; round < 5; ++round) {
          const auto bytes = pattern(256, round * 1000 + static_cast<std::size_t>(i));
          ASSERT_TRUE(write_all(**stream, bytes, soon()).has_value());
          ASSERT_EQ(*read_up_to(**stream, 256, soon()), bytes);
        }
        ASSERT_TRUE((*stream)->shutdown_write(Deadline::never()).has_value());
        EXPECT_TRUE((*stream)->read(soon())->empty());
      });
    scope.join();
  });
  EXPECT_EQ(counters.connections_accepted, 500u);
  EXPECT_EQ(counters.resets_sent, 0u);
}

TEST_P(RingStreams, a_full_submission_queue_loses_nothing) {
  RingOptions tiny = options();
  tiny.submission_entries = 4;
  tiny.completion_entries = 8;
  const Counters counters = run(tiny, [&](RingNetwork& network, Scope& scope) {
    std::vector<Pair> pairs;
    for (int i = 0; i < 100; ++i) pairs.push_back(connect(network));
    int echoed = 0;
    for (Pair& pair : pairs) {
      scope.spawn("far", [&] {
        auto bytes = pair.far->read(soon());
        ASSERT_TRUE(bytes.has_value());
        ASSERT_TRUE(write_all(*pair.far, bytes->bytes(), soon()).has_value());
      });
      scope.spawn("near", [&] {
        ASSERT_TRUE(write_all(*pair.near, pattern(100), soon()).has_value());
        EXPECT_EQ(*read_up_to(*pair.near, 100, soon()), pattern(100));
        ++echoed;
      });
    }
    scope.join();
    EXPECT_EQ(echoed, 100);
  });
  EXPECT_GT(counters.queued, 0u);
}

using RingStreamLimits = RingTest;

TEST_F(RingStreamLimits, provided_buffers_that_run_short_are_replenished) {
  RingOptions options;
  options.provided_buffers = 2;
  const Counters counters = run(options, [&](RingNetwork& network, Scope& scope) {
    std::vector<Pair> pairs;
    for (int i = 0; i < 50; ++i) pairs.push_back(connect(network));
    for (Pair& pair : pairs)
      scope.spawn("reader", [&] { EXPECT_EQ(*read_up_to(*pair.far, 100, soon()), pattern(100)); });
    (void)ring().scheduler().sleep_for(milliseconds(1));
    for (Pair& pair : pairs)
      scope.spawn("writer", [&] { EXPECT_TRUE(write_all(*pair.near, pattern(100), soon())); });
    scope.join();
  });
  EXPECT_GT(counters.buffers_short, 0u);
}

TEST_F(RingStreamLimits, a_reader_that_finds_every_buffer_lent_out_waits_until_one_comes_back) {
  for (const std::uint32_t provided : {0u, 4u}) {
    RingOptions options;
    options.provided_buffers = provided;
    options.receive_buffers_max = 3;
    run(options, [&](RingNetwork& network, Scope& scope) {
      auto [near, far] = connect(network);
      std::vector<Slice> held;
      for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(write_all(*near, pattern(10), soon()));
        auto bytes = far->read(soon());
        ASSERT_TRUE(bytes.has_value());
        held.push_back(std::move(*bytes));
      }
      ASSERT_TRUE(write_all(*near, pattern(10), soon()));
      const Deadline shortly = network.clock().in(std::chrono::milliseconds(20));
      EXPECT_EQ(far->read(shortly).error(), Errc::timed_out);
      EXPECT_GE(network.clock().now(), shortly.at);
      scope.spawn("gives one back", [&] { held.pop_back(); });
      held.push_back(std::move(*far->read(soon())));
      EXPECT_EQ(held.back().size(), 10u);
      std::byte own[16];
      ASSERT_TRUE(write_all(*near, pattern(16), soon()));
      EXPECT_EQ(*far->read_into(own, soon()), 16u) << "memory of one's own needs none";
      ASSERT_TRUE(write_all(*near, pattern(10), soon()));
      scope.spawn("aborts", [&] { far->abort(); });
      const Deadline patience = soon();
      EXPECT_EQ(far->read(patience).error(), Errc::broken) << "an abort ends the wait";
      EXPECT_LT(network.clock().now(), patience.at) << "and does so at once";
      scope.join();
    });
  }
}

TEST_F(RingStreamLimits, a_slice_outlives_its_stream) {
  run({}, [&](RingNetwork& network, Scope&) {
    Slice bytes;
    {
      auto [near, far] = connect(network);
      ASSERT_TRUE(write_all(*near, pattern(100), soon()));
      bytes = std::move(*far->read(soon()));
    }
    EXPECT_TRUE(std::ranges::equal(bytes.bytes(), pattern(100)));
    EXPECT_EQ(bytes.held(), large_receive_buffer);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % 4096, 0u);
  });
}

TEST_F(RingStreamLimits, dialing_a_port_that_nobody_listens_on_is_refused) {
  run({}, [&](RingNetwork& network, Scope&) {
    Address address;
    {
      auto acceptor = network.listen(loopback, {});
      address = (*acceptor)->local();
    }
    auto stream = network.dial(address, {}, soon());
    ASSERT_FALSE(stream.has_value());
    EXPECT_EQ(stream.error(), Errc::refused);
    EXPECT_EQ(stream.error().os_errno, ECONNREFUSED);
  });
}

TEST_F(RingStreamLimits, a_port_in_use_is_unreachable_and_says_so) {
  run({}, [&](RingNetwork& network, Scope&) {
    auto first = network.listen(loopback, {});
    ASSERT_TRUE(first.has_value());
    auto second = network.listen((*first)->local(), {});
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error(), Errc::unreachable);
    EXPECT_EQ(second.error().os_errno, EADDRINUSE);
  });
}

TEST_F(RingStreamLimits, an_address_that_is_not_ours_is_unreachable) {
  run({}, [&](RingNetwork& network, Scope&) {
    auto acceptor = network.listen(Address::v4(192, 0, 2, 1, 0), {});
    ASSERT_FALSE(acceptor.has_value());
    EXPECT_EQ(acceptor.error(), Errc::unreachable);
    StreamOptions from;
    from.local = Address::v4(192, 0, 2, 1, 0);
    EXPECT_EQ(network.dial(loopback, from, soon()).error(), Errc::unreachable);
  });
}

TEST_F(RingStreamLimits, a_dial_leaves_from_the_address_that_it_was_given) {
  run({}, [&](RingNetwork& network, Scope&) {
    auto acceptor = network.listen(Address::v4(0, 0, 0, 0, 0), {});
    const Address to = Address::v4(127, 0, 0, 3, (*acceptor)->local().port);
    StreamOptions from;
    from.local = Address::v4(127, 0, 0, 2, 0);
    auto near = network.dial(to, from, soon());
    ASSERT_TRUE(near.has_value());
    auto far = (*acceptor)->accept(soon());
    EXPECT_EQ((*far)->peer().ip, from.local.ip);
    EXPECT_EQ((*far)->local(), to);  // although it listens on every address
  });
}

TEST_F(RingStreamLimits, a_congestion_control_is_the_one_that_was_asked_for) {
  run({}, [&](RingNetwork& network, Scope&) {
    ListenOptions listening;
    listening.stream.congestion = "no such thing";
    EXPECT_EQ(network.listen(loopback, listening).error(), Errc::unsupported);
    EXPECT_EQ(network.dial(loopback, listening.stream, soon()).error(), Errc::unsupported);

    listening.stream.congestion = "reno";  // every kernel has it
    auto acceptor = network.listen(loopback, listening);
    auto near = network.dial((*acceptor)->local(), listening.stream, soon());
    auto far = (*acceptor)->accept(soon());
    ASSERT_TRUE(far.has_value());
    // The newest descriptors are the dialled and the accepted one.
    const int next = ::dup(0);
    ::close(next);
    for (const int fd : {next - 1, next - 2}) {
      char name[16] = {};
      socklen_t size = sizeof name;
      ASSERT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size), 0);
      EXPECT_STREQ(name, "reno");
    }
  });
}

TEST_F(RingStreamLimits, an_accepted_connection_has_the_listeners_options) {
  run({}, [&](RingNetwork& network, Scope&) {
    for (const bool no_delay : {true, false}) {
      StreamOptions options;
      options.no_delay = no_delay;
      options.send_buffer = 30'000;
      ListenOptions listening;
      listening.stream = options;
      auto acceptor = network.listen(loopback, listening);
      auto near = network.dial((*acceptor)->local(), options, soon());
      auto far = (*acceptor)->accept(soon());
      ASSERT_TRUE(far.has_value());
      // The newest descriptor is the accepted one.
      const int fd = ::dup(0);
      ::close(fd);
      int value = -1;
      socklen_t size = sizeof value;
      ASSERT_EQ(::getsockopt(fd - 1, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
      EXPECT_EQ(value != 0, no_delay);
      ASSERT_EQ(::getsockopt(fd - 1, SOL_SOCKET, SO_SNDBUF, &value, &size), 0);
      EXPECT_EQ(value, 60'000);  // Linux doubles it
    }
  });
}

TEST_F(RingStreamLimits, accept_without_descriptors_is_no_resources_and_recovers) {
#ifdef RUNNING_ON_VALGRIND
  if (RUNNING_ON_VALGRIND) GTEST_SKIP() << "Valgrind keeps the limit to itself";
#endif
  run({}, [&](RingNetwork& network, Scope&) {
    auto acceptor = network.listen(loopback, {});
    auto near = network.dial((*acceptor)->local(), {}, soon());
    ASSERT_TRUE(near.has_value());
    rlimit old{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
    const int next = ::dup(0);
    ::close(next);
    const rlimit none_left{static_cast<rlim_t>(next), old.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none_left), 0);
    auto stream = (*acceptor)->accept(soon());
    auto dialed = network.dial((*acceptor)->local(), {}, soon());
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
    EXPECT_EQ(stream.error(), Errc::no_resources);
    EXPECT_EQ(stream.error().os_errno, EMFILE);
    EXPECT_EQ(dialed.error(), Errc::no_resources);
    EXPECT_TRUE((*acceptor)->accept(soon()).has_value());
  });
}

TEST_F(RingStreamLimits, ipv6_works_where_the_machine_has_it) {
  run({}, [&](RingNetwork& network, Scope&) {
    auto acceptor = network.listen(*parse_address("[::1]:0"), {});
    if (!acceptor) GTEST_SKIP() << "no IPv6 loopback here";
    auto near = network.dial((*acceptor)->local(), {}, soon());
    ASSERT_TRUE(near.has_value());
    auto far = (*acceptor)->accept(soon());
    EXPECT_EQ((*far)->peer(), (*near)->local());
    EXPECT_FALSE((*far)->peer().is_v4());
  });
}

TEST_F(RingStreamLimits, operations_over_the_limit_are_no_resources) {
  RingOptions options;
  options.operations_max = 1;
  options.multishot_accept = false;  // it would be the one
  run(options, [&](RingNetwork& network, Scope& scope) {
    auto [near, far] = connect(network);
    scope.spawn("reader",
                [&, stream = far.get()] { EXPECT_EQ(stream->read(soon()).error(), Errc::broken); });
    ring().scheduler().yield();
    const iovec piece{&network, 1};
    EXPECT_EQ(near->write({&piece, 1}, soon()).error(), Errc::no_resources);
    far->abort();
    scope.join();
  });
}

TEST(Probe, a_forced_failure_is_explained_in_one_sentence_with_its_remedy) {
  struct Case {
    int error;
    Errc code;
    const char* remedy;
  };
  for (const Case& c :
       {Case{ENOSYS, Errc::unsupported, "Linux 6.1"}, Case{EPERM, Errc::unsupported, "seccomp"},
        Case{ENOMEM, Errc::no_resources, "RLIMIT_MEMLOCK"},
        Case{EMFILE, Errc::no_resources, "RLIMIT_NOFILE"},
        Case{EOPNOTSUPP, Errc::unsupported, "too old"}}) {
    RingOptions options;
    options.force_probe_failure = c.error;
    auto ring = Ring::create(options);
    ASSERT_FALSE(ring.has_value());
    EXPECT_EQ(ring.error(), c.code);
    const std::string text = explain_no_ring(ring.error());
    EXPECT_NE(text.find(c.remedy), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos);
    EXPECT_EQ(probe(options).error(), c.code);
  }
  EXPECT_TRUE(probe({}).has_value());
}

}  // namespace
}  // namespace twinwire::real
