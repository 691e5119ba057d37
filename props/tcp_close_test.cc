// SPDX-License-Identifier: Apache-2.0
// close() against a reader that was woken in the same instant: part of a frame has arrived, and no more will. The
// reader must leave the stream to close() at once; if it read on, the peer's end would read as broken and reset a
// clean close.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>

#include "sim/sim_network.h"
#include "transport/tcp/tcp.h"

namespace twinwire {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Outcome {
  std::optional<Error> read_end;
  TimePoint read_ended;
  Result<void> closed;
};

// The peer writes 100 bytes that arrive when close() begins, reads to the end, and ends its side a second later.
Outcome race(std::uint64_t seed, StackPool& stacks) {
  sim::WorldOptions options;
  options.seed = seed;
  sim::World world(options, stacks);
  sim::SimNetwork& server = world.add_node("server");
  sim::SimNetwork& peer = world.add_node("peer");
  Outcome outcome;
  const auto report = world.run([&](Scope& scope) {
    Scheduler& scheduler = scope.scheduler();
    auto listener = Tcp::listen(server, scope, server.address(), {});
    auto stream = peer.dial(listener->local(), {}, Deadline::never());
    auto accepted = listener->accept(Deadline::never());
    auto [reader, writer] = split(std::move(accepted->first));
    const TimePoint start = TimePoint{} + milliseconds(1);
    run_scope(scheduler, [&](Scope& ends) {
      ends.spawn("peer", [&] {
        (void)scheduler.sleep_until(start);
        std::array<std::byte, 100> part{};
        const iovec piece{part.data(), part.size()};
        (void)(*stream)->write({&piece, 1}, Deadline::never());
        (void)(*stream)->read(Deadline::never());
        (void)scheduler.sleep_for(seconds(1));
        (void)(*stream)->shutdown_write(Deadline::never());
      });
      ends.spawn("reader", [&] {
        auto message = reader.read_message(default_max_message, Deadline::never());
        if (!message) outcome.read_end = message.error();
        outcome.read_ended = server.clock().now();
      });
      (void)scheduler.sleep_until(start + options.latency);
      outcome.closed = writer.close(seconds(5));
    });
    scope.cancel();
  });
  EXPECT_EQ(report.ending, sim::Ending::finished);
  return outcome;
}

TEST(TcpClose, a_reader_woken_in_the_same_instant_leaves_the_stream_to_close) {
  StackPool stacks;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const Outcome outcome = race(seed, stacks);
    ASSERT_TRUE(outcome.closed.has_value())
        << "seed " << seed << ": " << to_string(outcome.closed.error());
    ASSERT_EQ(outcome.read_end, Error{Errc::closed}) << "seed " << seed;
    ASSERT_LT(outcome.read_ended.ns, Duration(milliseconds(2)).count()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace twinwire
