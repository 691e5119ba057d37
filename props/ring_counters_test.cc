// SPDX-License-Identifier: Apache-2.0
// What a ring counts is what happened, once; and each counter is told under its own name.
#include <algorithm>

#include "props/metrics_text.h"
#include "props/ring_fixture.h"
#include "real/ring_metrics.h"

namespace twinwire::real {
namespace {

class RingCounters : public RingTest {
 protected:
  static std::uint64_t open(const Counters& c) {
    return c.connections_accepted + c.connections_dialed + c.connections_adopted -
           c.connections_closed;
  }
};

TEST_F(RingCounters, every_byte_is_counted_once_however_it_is_read_and_written) {
  constexpr std::size_t size = 3'000'000;
  for (const bool direct : {true, false}) {
    for (const bool into_own : {true, false}) {
      RingOptions options;
      options.direct_writes = direct;
      const Counters counters = run(options, [&](RingNetwork& network, Scope& scope) {
        StreamOptions small;
        small.send_buffer = small.receive_buffer = 16384;
        auto [near, far] = connect(network, small);
        scope.spawn("writer", [&, n = near.get()] {
          EXPECT_TRUE(write_all(*n, pattern(size), soon()).has_value());
        });
        std::vector<std::byte> own(100'000);
        for (std::size_t got = 0; got < size;) {
          if (into_own) {
            const auto n = far->read_into(own, soon());
            ASSERT_TRUE(n.has_value());
            got += *n;
          } else {
            const auto slice = far->read(soon());
            ASSERT_TRUE(slice.has_value());
            got += slice->size();
          }
        }
        scope.join();
        EXPECT_EQ(open(ring().counters()), 2u);
      });
      EXPECT_EQ(counters.bytes_received, size);
      EXPECT_EQ(counters.bytes_sent, size);
      EXPECT_GT(counters.short_writes, 0u) << "it tests nothing";
      EXPECT_EQ(open(counters), 0u);
    }
  }
}

TEST_F(RingCounters, a_reset_is_met_once) {
  const Counters counters = run({}, [&](RingNetwork& network, Scope&) {
    auto [near, far] = connect(network);
    near->abort();
    EXPECT_EQ(far->read(soon()).error(), Errc::broken);
  });
  EXPECT_EQ(counters.resets_met, 1u);
}

TEST_F(RingCounters, lent_buffers_of_both_sizes_are_told) {
  run({}, [&](RingNetwork& network, Scope&) {
    auto [near, far] = connect(network);
    std::vector<Slice> held;
    // Small messages that are waited for bring the stream to receive into small buffers.
    for (int i = 0; i < 40; ++i) {
      ASSERT_TRUE(write_all(*near, pattern(10), soon()));
      auto slice = far->read(soon());
      ASSERT_TRUE(slice.has_value());
      held.push_back(std::move(*slice));
    }
    const auto lent = [&] { return sample(ring(), 0).receive_buffers_lent; };
    ASSERT_GT(ring().core().small_receive_buffers().lent(), 0u) << "it tests nothing";
    ASSERT_GT(ring().core().receive_buffers().lent(), 0u) << "it tests nothing";
    EXPECT_EQ(lent(), held.size());
    held.clear();
    EXPECT_EQ(lent(), 0u);
  });
}

// Each counter has a value of its own, so that one in another's place, or counted twice, is seen.
TEST(RingMetricsText, each_counter_is_told_once_and_by_its_own_name) {
  struct Named {
    const char* name;
    std::uint64_t Counters::* value;
  };
  constexpr Named all[] = {
      {"twinwire_connections_accepted_total", &Counters::connections_accepted},
      {"twinwire_connections_dialed_total", &Counters::connections_dialed},
      {"twinwire_connections_adopted_total", &Counters::connections_adopted},
      {"twinwire_bytes_received_total", &Counters::bytes_received},
      {"twinwire_bytes_sent_total", &Counters::bytes_sent},
      {"twinwire_datagrams_received_total", &Counters::datagrams_received},
      {"twinwire_datagrams_sent_total", &Counters::datagrams_sent},
      {"twinwire_resets_met_total", &Counters::resets_met},
      {"twinwire_resets_sent_total", &Counters::resets_sent},
      {"twinwire_short_writes_total", &Counters::short_writes},
      {"twinwire_receive_buffers_short_total", &Counters::buffers_short},
      {"twinwire_loop_turns_total", &Counters::turns},
      {"twinwire_io_uring_enters_total", &Counters::enters},
      {"twinwire_io_uring_waits_total", &Counters::waits},
      {"twinwire_operations_total", &Counters::operations},
      {"twinwire_multishot_completions_total", &Counters::multishot_completions},
      {"twinwire_zero_copy_writes_total", &Counters::zero_copy_writes},
      {"twinwire_operations_queued_total", &Counters::queued},
      {"twinwire_operations_canceled_total", &Counters::cancels},
  };
  std::vector<RingSample> shards(2);
  std::uint64_t value = 1000;
  for (unsigned shard = 0; shard < 2; ++shard) {
    shards[shard].shard = shard;
    for (const Named& one : all) shards[shard].counters.*one.value = value += 7;
    shards[shard].counters.connections_closed = 5;
    shards[shard].fibers = value += 7;
    shards[shard].operations_in_flight = value += 7;
    shards[shard].receive_buffers_lent = value += 7;
    shards[shard].message_bytes = value += 7;
  }
  PrometheusText text;
  write_metrics(text, shards);
  const props::MetricsText read(text.text());
  ASSERT_TRUE(read.errors().empty()) << read.errors().front();
  for (const RingSample& one : shards) {
    const std::string labels = "{shard=\"" + std::to_string(one.shard) + "\"}";
    const auto at = [&](const std::string& name) { return read.at(name + labels); };
    for (const Named& named : all)
      EXPECT_EQ(at(named.name), static_cast<double>(one.counters.*named.value)) << named.name;
    EXPECT_EQ(
        at("twinwire_connections_open"),
        static_cast<double>(one.counters.connections_accepted + one.counters.connections_dialed +
                            one.counters.connections_adopted - 5));
    EXPECT_EQ(at("twinwire_fibers"), static_cast<double>(one.fibers));
    EXPECT_EQ(at("twinwire_operations_in_flight"), static_cast<double>(one.operations_in_flight));
    EXPECT_EQ(at("twinwire_receive_buffers_lent"), static_cast<double>(one.receive_buffers_lent));
    EXPECT_EQ(at("twinwire_message_bytes"), static_cast<double>(one.message_bytes));
  }
}

}  // namespace
}  // namespace twinwire::real
