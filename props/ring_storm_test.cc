// SPDX-License-Identifier: Apache-2.0
// Storms: connections that are made, used and reset in tight loops by many fibers, at every moment of their lives:
// before they are accepted, while reads and writes are in flight on both ends, while a receive goes on; and listeners
// that go and come back. Descriptor numbers are used again at once. Nothing leaks, and nothing sticks.
// ctest: real_time slow
#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <optional>
#include <vector>

#include "props/ring_fixture.h"
#include "transport/base/mix.h"
#include "transport/base/sanitizers.h"
#include "transport/tcp/tcp.h"

namespace twinwire::real {
namespace {

#if defined(TWINWIRE_TSAN)  // to which a new fiber is a new thread
constexpr std::uint64_t connections_each = 8;
constexpr std::uint64_t fibers = 16;
#elif defined(TWINWIRE_ASAN)
constexpr std::uint64_t connections_each = 12;
constexpr std::uint64_t fibers = 64;
#else
constexpr std::uint64_t connections_each = 100;
constexpr std::uint64_t fibers = 64;
#endif
constexpr std::uint64_t accepts_of_a_listener = 40;
constexpr std::size_t large = std::size_t{1} << 20;  // more than a socket takes at once

// How a client treats a connection.
enum class Way : std::uint8_t {
  reset_at_once,        // often before it is accepted
  reset_after_a_batch,  // while its echo is under way
  reset_while_writing,  // a write that the peer does not take in time, cut by the other half's end
  reset_while_receiving,  // after some echoes: a receive that goes on is in flight
  cancel_and_reset,       // the same, but its fiber is told to stop first
  close,
  count
};
constexpr std::array<const char*, static_cast<std::size_t>(Way::count)> way_names = {
    "reset at once",         "reset after a batch", "reset while writing",
    "reset while receiving", "canceled and reset",  "closed"};

struct Tally {
  std::array<std::uint64_t, way_names.size()> ways{};
  std::uint64_t not_connected = 0;  // the listener was away, or went with it
  std::uint64_t closed_by_both = 0;
  std::uint64_t echoes = 0;
  std::uint64_t listeners = 0;
  std::uint64_t served = 0;
  std::uint64_t reset_by_server = 0;
  std::size_t descriptors_max = 0;
};

// What a connection may come to that the other side may reset at any time.
bool may_fail_with(const Error& error) {
  return error == Errc::broken || error == Errc::closed || error == Errc::canceled;
}

class RingStorm : public RingTest {
 protected:
  RingStorm() { ::alarm(500); }

  void storm(const RingOptions& options, const char* name) {
    tally_ = {};
    const Counters counters = run(options, [&](RingNetwork& network, Scope& scope) {
      server_ = {};
      storming_ = fibers;
      scope.spawn("server", [&] { serve(network, scope); });
      run_scope(network.scheduler(), [&](Scope& clients) {
        for (std::uint64_t f = 0; f < fibers; ++f)
          clients.spawn("client", [&, f] {
            for (std::uint64_t n = 0; n < connections_each; ++n) meet(network, mix(f, n));
            --storming_;
          });
      });
      scope.join();
      EXPECT_EQ(network.scheduler().live(), 1u) << "fibers left besides this one";
      EXPECT_EQ(network.buffers().blocks_in_use(), 0u);
    });
    check(counters, name);
  }

 private:
  static Message message(RingNetwork& network, std::size_t body) {
    auto made = MutableMessage::create(network.buffers(), Command::request, body);
    if (!made) throw std::bad_alloc();
    std::ranges::fill(made->body(), std::byte{7});
    return std::move(*made).freeze();
  }

  // --- The server: listeners one after another, and an echo of each connection until it has had enough of it --------

  void serve(RingNetwork& network, Scope& scope) {
    while (storming_ > 0) {
      run_scope(network.scheduler(), [&](Scope& background) {
        auto listener =
            Tcp::listen(network, background, Address::v4(127, 0, 0, 1, server_.port), {});
        if (!listener) {  // a client's end has this port just now
          EXPECT_EQ(listener.error(), Errc::unreachable);
          (void)ring().scheduler().sleep_for(milliseconds(1));
          return;
        }
        server_ = listener->local();
        ++tally_.listeners;
        for (std::uint64_t n = 0; n < accepts_of_a_listener && storming_ > 0; ++n) {
          auto accepted = listener->accept(in(milliseconds(20)));
          if (!accepted) {
            EXPECT_TRUE(accepted.error() == Errc::timed_out || accepted.error() == Errc::broken);
            continue;
          }
          scope.spawn("echo", [&, conn = std::make_shared<FramedConn>(std::move(accepted->first)),
                               draw = mix(tally_.served++, 77)] { echo(std::move(*conn), draw); });
        }
        background.cancel();  // who waits in the backlog is reset
      });
    }
  }

  void echo(FramedConn conn, std::uint64_t draw) {
    auto [reader, writer] = split(std::move(conn));
    const std::uint64_t enough = draw % 4 == 0 ? draw / 4 % 12 : UINT64_MAX;
    std::optional<Error> ended;
    Batch batch(8);
    for (std::uint64_t reads = 0; !ended && reads < enough; ++reads) {
      // A quarter reads late: the peer's large write is in flight while it is reset.
      if (draw / 64 % 4 == 0) (void)ring().scheduler().sleep_for(microseconds(200));
      if (auto read = reader.read_batch(batch, default_max_message, soon()); !read)
        ended = read.error();
      else if (auto sent = writer.send_batch(batch, soon()); !sent)
        ended = sent.error();
    }
    if (!ended) {
      ++tally_.reset_by_server;
      return;  // by the halves' end
    }
    EXPECT_TRUE(may_fail_with(*ended)) << to_string(*ended);
    if (*ended == Errc::closed) (void)writer.close(seconds(20));
  }

  // --- A client ------------------------------------------------------------------------------------------------------

  void meet(RingNetwork& network, std::uint64_t draw) {
    while (server_.port == 0) ring().scheduler().yield();
    auto conn = Tcp::dial(network, server_, {}, soon());
    if (!conn) {
      EXPECT_TRUE(conn.error() == Errc::refused || conn.error() == Errc::broken)
          << to_string(conn.error());
      ++tally_.not_connected;
      (void)ring().scheduler().sleep_for(microseconds(draw % 500));
      return;
    }
    const auto way = static_cast<Way>(draw % way_names.size());
    const std::uint64_t nth = tally_.ways[draw % way_names.size()]++;
    if (nth % 64 == 0)
      tally_.descriptors_max = std::max(tally_.descriptors_max, open_descriptors());
    auto [reader, writer] = split(std::move(*conn));
    switch (way) {
      case Way::reset_at_once: break;
      case Way::reset_after_a_batch: (void)send(network, writer, 1 + draw / 8 % 20, 64); break;
      case Way::reset_while_writing: {
        FramedWriter writing = std::move(writer);
        run_scope(network.scheduler(), [&](Scope& scope) {
          scope.spawn("writer", [&] {
            for (int i = 0; i < 4; ++i)
              if (!send(network, writing, 4, large)) return;
          });
          wait(draw);
          // The reader's half goes, and the connection with it, under the writer.
          const FramedReader gone = std::move(reader);
        });
        break;
      }
      case Way::reset_while_receiving:
      case Way::cancel_and_reset:
        run_scope(network.scheduler(), [&](Scope& scope) {
          scope.spawn("reader", [&] { receive(reader); });
          for (std::uint64_t i = 0; i < 8; ++i) {
            if (!send(network, writer, 1, 32)) break;
            wait(draw + i);
          }
          if (way == Way::cancel_and_reset) scope.cancel();
          const FramedWriter gone = std::move(writer);  // under the reader
        });
        break;
      case Way::close:
        run_scope(network.scheduler(), [&](Scope& scope) {
          scope.spawn("reader", [&] { receive(reader); });
          if (send(network, writer, 3, 100) && writer.close(seconds(20))) ++tally_.closed_by_both;
        });
        break;
      case Way::count: break;
    }
  }

  void wait(std::uint64_t draw) {
    if (draw % 3 == 0)
      ring().scheduler().yield();
    else
      (void)ring().scheduler().sleep_for(microseconds(draw / 3 % 300));
  }

  bool send(RingNetwork& network, FramedWriter& writer, std::size_t count, std::size_t body) {
    Batch batch(count);
    const Message one = message(network, body);
    for (std::size_t i = 0; i < count; ++i) batch.push(one);
    const auto sent = writer.send_batch(batch, soon());
    EXPECT_TRUE(sent || may_fail_with(sent.error())) << to_string(sent.error());
    return sent.has_value();
  }

  void receive(FramedReader& reader) {
    for (;;) {
      auto read = reader.read_message(default_max_message, soon());
      if (!read) {
        EXPECT_TRUE(may_fail_with(read.error())) << to_string(read.error());
        return;
      }
      ++tally_.echoes;
    }
  }

  // --- What came of it -----------------------------------------------------------------------------------------------

  void check(const Counters& counters, const char* name) {
    constexpr std::uint64_t wanted = fibers * connections_each;
    std::uint64_t connected = 0;
    std::printf("%s: %llu connections asked for\n", name, static_cast<unsigned long long>(wanted));
    const auto print = [](const char* what, std::uint64_t n) {
      std::printf("  %-24s %8llu\n", what, static_cast<unsigned long long>(n));
    };
    for (std::size_t i = 0; i < way_names.size(); ++i) {
      print(way_names[i], tally_.ways[i]);
      EXPECT_GE(tally_.ways[i], wanted / 64) << way_names[i];
      connected += tally_.ways[i];
    }
    print("not connected", tally_.not_connected);
    print("closed by both", tally_.closed_by_both);
    print("echoes", tally_.echoes);
    print("served", tally_.served);
    print("reset by the server", tally_.reset_by_server);
    print("listeners", tally_.listeners);
    print("resets sent", counters.resets_sent);
    print("resets met", counters.resets_met);
    print("short writes", counters.short_writes);
    print("cancels", counters.cancels);
    print("cancels too late", counters.cancels_too_late);
    print("multishot completions", counters.multishot_completions);
    print("operations", counters.operations);
    print("descriptors, at most", tally_.descriptors_max);
    EXPECT_EQ(connected + tally_.not_connected, wanted);
    EXPECT_EQ(counters.connections_dialed, connected);
    EXPECT_GE(counters.resets_sent, connected / 2);
    EXPECT_GT(counters.resets_met, connected / 20);
    // With one accept at a time most are reset before their turn comes.
    EXPECT_GT(tally_.closed_by_both, wanted / 128);
    EXPECT_GE(tally_.listeners, wanted / accepts_of_a_listener / 16);
    EXPECT_GT(counters.cancels, 0u);
    // Their numbers were used again and again.
    EXPECT_LT(tally_.descriptors_max, std::min<std::uint64_t>(connected, 1000));
  }

  Tally tally_;
  Address server_;
  std::uint64_t storming_ = 0;
};

TEST_F(RingStorm, connections_are_made_and_reset_at_every_moment) {
  RingOptions options;
  options.multishot_accept = true;
  storm(options, "all that goes on");
}

TEST_F(RingStorm, the_same_with_one_receive_and_one_accept_at_a_time) {
  RingOptions options;
  options.multishot_receive = options.multishot_accept = false;
  storm(options, "one receive, one accept at a time");
}

TEST_F(RingStorm, the_same_with_buffers_of_our_own_and_few_submission_entries) {
  RingOptions options;
  options.provided_buffers = 0;
  options.submission_entries = 8;
  storm(options, "no provided buffers, 8 submission entries");
}

}  // namespace
}  // namespace twinwire::real
