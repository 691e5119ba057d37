// SPDX-License-Identifier: Apache-2.0
// SharedWriter over real sockets: what many fibers send, each by calls of its own, leaves in few writes, in the order
// of each; and small messages that are copied side by side arrive as they were.
// ctest: real_time
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "props/ring_fixture.h"
#include "transport/shared/shared_writer.h"
#include "transport/tcp/tcp.h"

namespace twinwire::real {
namespace {

class RingShared : public RingTest {
 protected:
  struct Ends {
    FramedReader near_reader;
    FramedWriter near;
    FramedReader far;
    FramedWriter far_writer;
  };
  Ends framed(RingNetwork& network, const ConnOptions& options) {
    auto [a, b] = connect(network);
    auto near = FramedConn::over(network, std::move(a), options);
    auto far = FramedConn::over(network, std::move(b), {});
    auto [near_reader, near_writer] = split(std::move(*near));
    auto [far_reader, far_writer] = split(std::move(*far));
    return {std::move(near_reader), std::move(near_writer), std::move(far_reader),
            std::move(far_writer)};
  }
  static Message message(RingNetwork& network, std::uint64_t id, std::size_t body) {
    auto made = MutableMessage::create(network.buffers(), Command::request, body);
    made->set_request_id(id);
    std::ranges::fill(made->body(), static_cast<std::byte>(id));
    return std::move(*made).freeze();
  }
  static bool intact(const Message& message) {
    const auto id = static_cast<std::byte>(request_id(message));
    return std::ranges::all_of(message.body(), [&](std::byte b) { return b == id; });
  }
};

TEST_F(RingShared, many_fibers_share_few_writes_and_keep_their_order) {
  constexpr std::size_t fibers = 64;
  constexpr std::size_t each = 500;
  for (const std::size_t coalesce_below : {std::size_t{0}, std::size_t{1000}}) {
    const Counters counters = run({}, [&](RingNetwork& network, Scope& scope) {
      ConnOptions options;
      options.coalesce_below = coalesce_below;
      Ends ends = framed(network, options);
      std::vector<std::uint64_t> next(fibers);
      scope.spawn("reader", [&] {
        for (std::size_t n = 0; n < fibers * each; ++n) {
          auto got = ends.far.read_message(default_max_message, soon());
          ASSERT_TRUE(got.has_value());
          const std::uint64_t id = request_id(*got);
          EXPECT_TRUE(intact(*got));
          EXPECT_EQ(id % each, next[id / each]++) << "fiber " << id / each;
        }
        EXPECT_EQ(ends.far.read_message(default_max_message, soon()).error(), Errc::closed);
        EXPECT_TRUE(ends.far_writer.close(seconds(5)).has_value());
      });
      SharedWriter<FramedWriter> shared(network.scheduler(), std::move(ends.near));
      run_scope(network.scheduler(), [&](Scope& senders) {
        for (std::size_t f = 0; f < fibers; ++f)
          senders.spawn("sender", [&, f] {
            for (std::size_t n = 0; n < each; ++n)
              ASSERT_TRUE(shared.send(message(network, f * each + n, n % 40), soon()).has_value());
          });
      });
      EXPECT_TRUE(shared.close(seconds(5)).has_value());
      scope.join();
    });
    // Writes and reads together: one of each to 64 messages, and what the kernel makes of it.
    EXPECT_LE(counters.operations, fibers * each / 16);
    std::printf("%zu messages by %llu operations\n", fibers * each,
                static_cast<unsigned long long>(counters.operations));
  }
}

}  // namespace
}  // namespace twinwire::real
