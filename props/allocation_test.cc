// SPDX-License-Identifier: Apache-2.0
// On the steady path no message costs an allocation: whatever calls malloc(3) is counted, over a stream that is memory,
// and over real sockets. (Sanitizers have a malloc of their own.)
// ctest: real_time no_asan no_tsan alone
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "props/cost/memory_network.h"
#include "props/counted_malloc.h"
#include "props/ring_fixture.h"
#include "transport/tcp/tcp.h"

namespace twinwire {
namespace {

constexpr std::size_t size = 256;
constexpr std::size_t batch_size = 256;
constexpr int warm = 600;  // past the first message that lies across two reads
constexpr int rounds = 2000;

Message message(BufferPool& pool) {
  auto made = MutableMessage::create(pool, Command::request, size - header_size);
  return std::move(*made).freeze();
}

// Runs `round(reader, writer)` over a stream that is memory, and holds what it allocates against what it may.
// `read_size`: bytes of one read.
template <class Round>
void expect_no_allocation(std::size_t read_size, std::uint64_t pool_blocks_max, Round&& round) {
  cost::MemoryNetwork network;
  std::uint64_t taken = 0;
  std::uint64_t blocks = 0;
  network.run([&] {
    auto conn =
        FramedConn::over(network, std::make_unique<cost::MemoryStream>(size, read_size), {});
    auto [reader, writer] = split(std::move(*conn));
    const Message one = message(network.buffers());
    for (int i = 0; i < warm; ++i) round(reader, writer, one);
    const std::uint64_t allocations_before = allocations;
    const std::uint64_t blocks_before = network.buffers().allocations();
    for (int i = 0; i < rounds; ++i) round(reader, writer, one);
    taken = allocations - allocations_before;
    blocks = network.buffers().allocations() - blocks_before;
  });
  EXPECT_EQ(taken, 0u) << "calls of malloc in " << rounds << " rounds";
  EXPECT_LE(blocks, pool_blocks_max) << "blocks of the pool in " << rounds << " rounds";
}

TEST(Allocation, the_count_sees_new_malloc_and_the_pool) {
  const std::uint64_t before = allocations;
  void* volatile kept = new std::string(100, 'x');  // volatile: or a compiler leaves both calls out
  delete static_cast<std::string*>(kept);
  EXPECT_EQ(allocations - before, 2u);
  kept = std::malloc(100);
  std::free(kept);
  EXPECT_EQ(allocations - before, 3u);
  BufferPool pool;
  { const Message one = message(pool); }
  EXPECT_EQ(allocations - before, 4u);
  { const Message again = message(pool); }
  EXPECT_EQ(allocations - before, 4u) << "a block that came back";
  EXPECT_EQ(pool.allocations(), 2u);
}

TEST(Allocation, a_batch_is_sent_without_one) {
  for (const std::size_t count : {std::size_t{1}, batch_size, batch_messages_max}) {
    Batch batch(count);
    expect_no_allocation(size, 0, [&](FramedReader&, FramedWriter& writer, const Message& one) {
      for (std::size_t i = 0; i < count; ++i) batch.push(one);
      ASSERT_TRUE(writer.send_batch(batch, Deadline::never()));
    });
  }
}

TEST(Allocation, a_batch_is_read_without_one) {
  Batch batch(batch_size);
  const auto round = [&](FramedReader& reader, FramedWriter&, const Message&) {
    ASSERT_TRUE(reader.read_batch(batch, default_max_message, Deadline::never()));
    batch.clear();
  };
  expect_no_allocation(size * batch_size, 0, round);
  // Reads that end inside a frame: that one is gathered in a block, which the pool has.
  expect_no_allocation(size * batch_size - 64, 2 * rounds, round);
}

TEST(Allocation, a_message_is_read_without_one) {
  const auto round = [&](FramedReader& reader, FramedWriter&, const Message&) {
    ASSERT_TRUE(reader.read_message(default_max_message, Deadline::never()));
  };
  expect_no_allocation(size * batch_size, 0, round);
  expect_no_allocation(size * batch_size - 64, 2 * rounds / batch_size + 2, round);
}

}  // namespace

namespace real {
namespace {

class RingAllocation : public RingTest {};

TEST_F(RingAllocation, batches_go_back_and_forth_over_real_sockets_without_one) {
  run({}, [&](RingNetwork& network, Scope& scope) {
    auto [a, b] = connect(network);
    auto near = FramedConn::over(network, std::move(a), {});
    auto far = FramedConn::over(network, std::move(b), {});
    scope.spawn("echo", [&] {
      auto [reader, writer] = split(std::move(*far));
      Batch batch(batch_size);
      while (reader.read_batch(batch, default_max_message, soon()))
        ASSERT_TRUE(writer.send_batch(batch, soon()));
      EXPECT_TRUE(writer.close(seconds(5)));
    });
    auto [reader, writer] = split(std::move(*near));
    const Message one = message(network.buffers());
    Batch sent(batch_size);
    Batch received(batch_size);
    const auto round = [&, &reader = reader, &writer = writer] {
      for (std::size_t i = 0; i < batch_size; ++i) sent.push(one);
      ASSERT_TRUE(writer.send_batch(sent, soon()));
      for (std::size_t got = 0; got < batch_size; got += received.size()) {
        received.clear();
        ASSERT_TRUE(reader.read_batch(received, default_max_message, soon()));
      }
    };
    for (int i = 0; i < warm; ++i) round();
    const std::uint64_t before = allocations;
    for (int i = 0; i < rounds; ++i) round();
    EXPECT_EQ(allocations - before, 0u)
        << "in " << rounds << " round trips of " << batch_size << " messages";
    received.clear();
    EXPECT_TRUE(writer.close(seconds(5)));
    scope.join();
  });
}

}  // namespace
}  // namespace real
}  // namespace twinwire
