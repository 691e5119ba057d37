// SPDX-License-Identifier: Apache-2.0
// try_read_message: what is whole in the reader is taken; what is not stays, and the network is not asked. read_batch:
// what came together in one call.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <array>
#include <span>

#include "sim/sim_network.h"
#include "transport/tcp/tcp.h"

namespace twinwire {
namespace {

using std::chrono::milliseconds;

// Frames of the size of their header, numbered by their view.
template <std::size_t count>
std::array<std::byte, count * header_size> frames() {
  std::array<std::byte, count * header_size> bytes{};
  for (std::size_t i = 0; i < count; ++i) {
    std::byte* frame = bytes.data() + i * header_size;
    store(frame + offset::size, static_cast<std::uint32_t>(header_size));
    store(frame + offset::command, static_cast<std::uint8_t>(Command::request));
    store(frame + offset::view, static_cast<std::uint32_t>(i));
  }
  return bytes;
}

// Runs body(reader, peer, scheduler) on a connection to a peer that writes bytes.
template <class Body>
void with_reader(const ConnOptions& options, Body&& body) {
  StackPool stacks;
  sim::World world({}, stacks);
  sim::SimNetwork& server = world.add_node("server");
  sim::SimNetwork& peer = world.add_node("peer");
  const auto report = world.run([&](Scope& scope) {
    auto listener = Tcp::listen(server, scope, server.address(), options);
    auto stream = peer.dial(listener->local(), {}, Deadline::never());
    const auto write = [&](std::span<const std::byte> bytes) {
      const iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
      EXPECT_EQ((*stream)->write({&piece, 1}, Deadline::never()), bytes.size());
      (void)scope.scheduler().sleep_for(milliseconds(1));  // it has arrived
    };
    if (options.accept_after_first_message) write(frames<3>());
    auto accepted = listener->accept(Deadline::never());
    {
      auto [reader, writer] = split(std::move(accepted->first));
      body(reader, write, scope.scheduler());
    }
    scope.cancel();
  });
  EXPECT_EQ(report.ending, sim::Ending::finished);
  EXPECT_EQ(report.leaked_buffers, 0U);
}

void expect_view(const Result<Message>& message, std::uint32_t view) {
  ASSERT_TRUE(message.has_value()) << to_string(message.error());
  EXPECT_EQ(message->header().view(), view);
}
void expect_error(const Result<Message>& message, Errc code) {
  ASSERT_FALSE(message.has_value());
  EXPECT_EQ(message.error(), code);
}

TEST(TcpTryRead, a_frame_that_is_cut_stays_and_the_network_is_not_asked) {
  with_reader({}, [](FramedReader& reader, auto&& write, Scheduler&) {
    const auto bytes = frames<3>();
    const std::size_t cut = header_size * 5 / 2;
    write(std::span(bytes).first(cut));
    expect_error(reader.try_read_message(header_size), Errc::timed_out);  // in the network alone
    expect_view(reader.read_message(header_size, Deadline::never()), 0);
    expect_view(reader.try_read_message(header_size), 1);
    expect_error(reader.try_read_message(header_size), Errc::timed_out);
    write(std::span(bytes).subspan(cut));
    expect_error(reader.try_read_message(header_size), Errc::timed_out);
    expect_view(reader.read_message(header_size, Deadline::never()), 2);
  });
}

TEST(TcpTryRead, it_obeys_cancellation_and_a_message_read_ahead_comes_first) {
  with_reader({.accept_after_first_message = true},
              [](FramedReader& reader, auto&&, Scheduler& scheduler) {
                expect_view(reader.try_read_message(header_size), 0);
                run_scope(scheduler, [&](Scope& scope) {
                  const auto canceled = scope.spawn("canceled", [&] {
                    expect_error(reader.try_read_message(header_size), Errc::canceled);
                  });
                  scheduler.cancel(canceled);
                });
                expect_view(reader.try_read_message(header_size), 1);
                expect_view(reader.try_read_message(header_size), 2);
                expect_error(reader.try_read_message(header_size), Errc::timed_out);
              });
}

TEST(TcpTryRead, a_frame_over_the_maximum_drops_the_peer) {
  with_reader({}, [](FramedReader& reader, auto&& write, Scheduler&) {
    auto bytes = frames<3>();
    store(bytes.data() + header_size + offset::size, std::uint32_t{2 * header_size});
    write(bytes);
    expect_view(reader.read_message(header_size, Deadline::never()), 0);
    expect_error(reader.try_read_message(header_size), Errc::invalid);
    expect_error(reader.try_read_message(2 * header_size), Errc::invalid);
  });
}

void expect_views(const Batch& batch, std::uint32_t from, std::size_t count) {
  ASSERT_EQ(batch.size(), count);
  for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(batch[i].header().view(), from + i);
}

TEST(TcpReadBatch, it_takes_what_came_together_and_no_more_than_there_is_room_for) {
  with_reader({}, [](FramedReader& reader, auto&& write, Scheduler& scheduler) {
    const auto bytes = frames<7>();
    const std::size_t cut = header_size * 11 / 2;
    write(std::span(bytes).first(cut));
    Batch batch(4);
    ASSERT_TRUE(reader.read_batch(batch, header_size, Deadline::never()));
    expect_views(batch, 0, 4);
    batch.clear();
    ASSERT_TRUE(reader.read_batch(batch, header_size, Deadline::never()));
    expect_views(batch, 4, 1);
    // It is appended to what is there; and a call that times out changes nothing.
    const Deadline soon{scheduler.now() + milliseconds(5)};
    EXPECT_EQ(reader.read_batch(batch, header_size, soon).error(), Errc::timed_out);
    expect_views(batch, 4, 1);
    write(std::span(bytes).subspan(cut));
    ASSERT_TRUE(reader.read_batch(batch, header_size, Deadline::never()));
    expect_views(batch, 4, 3);
    EXPECT_EQ(batch.capacity(), 4U);
  });
}

TEST(TcpReadBatch, a_violation_behind_whole_messages_is_told_by_the_next_call) {
  with_reader({}, [](FramedReader& reader, auto&& write, Scheduler&) {
    auto bytes = frames<3>();
    store(bytes.data() + 2 * header_size + offset::command, std::uint8_t{200});
    write(bytes);
    Batch batch(8);
    ASSERT_TRUE(reader.read_batch(batch, header_size, Deadline::never()));
    expect_views(batch, 0, 2);
    EXPECT_EQ(reader.read_batch(batch, header_size, Deadline::never()).error(), Errc::invalid);
    expect_views(batch, 0, 2);
  });
}

}  // namespace
}  // namespace twinwire
