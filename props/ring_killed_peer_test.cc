// SPDX-License-Identifier: Apache-2.0
// A peer process is killed in mid-batch, over real sockets: the reader yields a prefix of whole messages and then says
// broken; sending to it fails and drops.
// ctest: real_time no_tsan
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "props/laws/tap.h"
#include "props/laws/witness.h"
#include "real/probe.h"
#include "real/ring_network.h"
#include "transport/tcp/tcp.h"

namespace twinwire {
namespace {

constexpr std::size_t body = 20'001;  // no buffer ends at a multiple of this frame
constexpr std::uint64_t stream_id = 7;

Batch full_batch(laws::Witness& witness, BufferPool& pool) {
  Batch batch(batch_messages_max);
  for (std::size_t i = 0; i < batch_messages_max; ++i) {
    auto message = witness.make(pool, body);
    if (message) batch.push(std::move(*message));
  }
  return batch;
}

// Connects and sends one batch that no socket buffer holds. Never returns: it is killed inside send_batch.
[[noreturn]] void be_killed(const Address& server) {
  auto ring = real::Ring::create({});
  if (!ring) _exit(1);
  real::RingNetwork network(**ring);
  laws::Judge judge;
  laws::Witness witness(judge, "killed", stream_id);
  Scope root((*ring)->scheduler());
  root.spawn("killed peer", [&] {
    auto conn = Tcp::dial(network, server, {}, network.clock().in(std::chrono::seconds(5)));
    if (!conn) _exit(2);
    auto [reader, writer] = split(std::move(*conn));
    Batch batch = full_batch(witness, network.buffers());
    (void)writer.send_batch(batch, Deadline::never());
    _exit(3);
  });
  (*ring)->scheduler().run();
  _exit(4);
}

TEST(RingKilledPeer, a_peer_killed_in_mid_batch_reads_as_broken_after_whole_messages) {
  laws::Judge judge;
  laws::Witness witness(judge, "killed", stream_id);
  std::optional<Error> read_end;
  std::optional<Result<void>> sent;
  bool reset = false;
  auto ring = real::Ring::create({});
  ASSERT_TRUE(ring.has_value()) << real::explain_no_ring(ring.error());
  real::RingNetwork base(**ring);
  laws::TapNetwork network(base, judge);
  Scope root((*ring)->scheduler());
  root.spawn("survivor", [&] {
    run_scope(network.scheduler(), [&](Scope& background) {
      auto listener = Tcp::listen(network, background, Address::v4(127, 0, 0, 1, 0), {});
      ASSERT_TRUE(listener.has_value());
      const pid_t child = ::fork();
      if (child == 0) be_killed(listener->local());
      auto accepted = listener->accept(network.clock().in(std::chrono::seconds(10)));
      // Until the peer's batch fills every buffer between us and it sits in the middle of one.
      (void)network.scheduler().sleep_for(std::chrono::milliseconds(300));
      ::kill(child, SIGKILL);
      int status = 0;
      ::waitpid(child, &status, 0);
      background.cancel();
      ASSERT_TRUE(accepted.has_value());
      ASSERT_TRUE(WIFSIGNALED(status)) << "the peer left by itself with status " << status;
      auto [reader, writer] = split(std::move(accepted->first));
      {
        laws::Witness what_it_sent(judge, "killed", stream_id);
        witness.offered(full_batch(what_it_sent, network.buffers()));
      }
      for (;;) {
        auto message =
            reader.read_message(default_max_message, network.clock().in(std::chrono::seconds(10)));
        if (!message) {
          read_end = message.error();
          break;
        }
        witness.yielded(*message);
      }
      Batch batch = full_batch(witness, network.buffers());
      sent = writer.send_batch(batch, network.clock().in(std::chrono::seconds(10)));
      reset = network.records().front()->aborted;
    });
  });
  (*ring)->scheduler().run();
  root.rethrow_failure();
  ASSERT_TRUE(read_end.has_value() && sent.has_value());
  EXPECT_EQ(*read_end, Error{Errc::broken});
  EXPECT_GT(witness.yielded_count(), 0U);
  EXPECT_LT(witness.yielded_count(), batch_messages_max);
  EXPECT_FALSE(judge.verdict().has_value()) << judge.verdict()->detail;
  EXPECT_FALSE(sent->has_value());
  EXPECT_TRUE(reset);
}

}  // namespace
}  // namespace twinwire
