// SPDX-License-Identifier: Apache-2.0
// What comes on a peer's streams, one event at a time: peers that break rules which our own side never breaks.
// ctest: no_tsan
#include "props/quic_rig.h"
#include "transport/quic/quic_exchanges.h"
#include "transport/quic/quic_inbound.h"

namespace twinwire::laws {
namespace {

constexpr QuicStream asked{QuicStream::Kind::our_request, 0};
constexpr QuicStream theirs{QuicStream::Kind::peer_request, 0};

// Runs `body(rig, exchanges)`: the table of a side that takes four requests at a time.
template <class Body>
void with_exchanges(Body&& body) {
  in_quic_world([&](QuicRig& rig, Scope&) {
    rig.listening.requests_window = 4;
    QuicExchanges exchanges(rig.client.scheduler(), rig.client.buffers(), rig.listening);
    body(rig, exchanges);
    exchanges.clear();
  });
}
bool yields_request(QuicExchanges& exchanges) {
  Message out;
  const auto taken = exchanges.take_request(default_max_message, out);
  EXPECT_TRUE(taken) << to_string(taken.error());
  return taken && *taken != nullptr;
}

TEST(QuicStreams, a_request_that_is_reset_is_not_yielded_and_its_stream_is_given_up) {
  for (const bool whole : {false, true})
    with_exchanges([&](QuicRig& rig, QuicExchanges& exchanges) {
      const Message request = rig.message(3000);
      exchanges.on_bytes(theirs, request.bytes().first(whole ? request.size() : 1000), whole);
      exchanges.on_reset(theirs);
      EXPECT_FALSE(yields_request(exchanges));
      const auto given_up = exchanges.next_abandoned();
      ASSERT_TRUE(given_up);
      EXPECT_EQ(given_up->number, theirs.number);
      EXPECT_FALSE(exchanges.next_abandoned());
      // What still comes of it is counted, and kept by nobody.
      const std::size_t held = rig.client.buffers().bytes_in_use();
      exchanges.on_bytes(theirs, rig.message(200'000).bytes(), false);
      EXPECT_EQ(rig.client.buffers().bytes_in_use(), held);
      exchanges.on_closed(theirs);
      const auto credit = exchanges.take_credit();
      ASSERT_TRUE(credit);
      EXPECT_EQ(credit->bytes, (whole ? request.size() : 1000) + rig.message(200'000).size());
    });
}

TEST(QuicStreams, a_request_that_is_no_frame_is_invalid) {
  const std::vector<std::size_t> sizes = {0, 100, 255, 256 + 2999, 2 * (256 + 3000)};
  for (const std::size_t size : sizes)
    with_exchanges([&](QuicRig& rig, QuicExchanges& exchanges) {
      const Message request = rig.message(3000);
      std::vector<std::byte> bytes(request.bytes().begin(), request.bytes().end());
      bytes.insert(bytes.end(), request.bytes().begin(), request.bytes().end());
      exchanges.on_bytes(theirs, std::span(bytes).first(size), true);
      Message out;
      EXPECT_EQ(exchanges.take_request(default_max_message, out).error(), Errc::invalid) << size;
    });
}

TEST(QuicStreams, a_reply_that_breaks_off_is_refused_whichever_way_the_peer_says_so) {
  for (const bool reset : {false, true})
    with_exchanges([&](QuicRig& rig, QuicExchanges& exchanges) {
      const auto exchange = exchanges.ask(0, rig.message(10), default_max_message);
      exchanges.on_bytes(asked, rig.message(3000).bytes().first(500), false);
      if (reset)
        exchanges.on_reset(asked);
      else
        exchanges.on_closed(asked);
      Message out;
      EXPECT_EQ(exchanges.take_reply(*exchange, out).error(), Errc::refused);
    });
}

// RFC 9000, section 2.2: the two directions are independent.
TEST(QuicStreams, a_reply_may_come_before_the_request_is_whole) {
  with_exchanges([](QuicRig& rig, QuicExchanges& exchanges) {
    const auto exchange = exchanges.ask(0, rig.message(3000), default_max_message);
    exchanges.on_new_packet();
    exchanges.on_written(asked, 1000);
    exchanges.on_bytes(asked, rig.message(40).bytes(), true);
    Message reply;
    const auto whole = exchanges.take_reply(*exchange, reply);
    ASSERT_TRUE(whole && *whole);
    EXPECT_EQ(reply.size(), header_size + 40);
    const auto rest = exchanges.next_piece();
    ASSERT_TRUE(rest);
    EXPECT_EQ(rest->bytes.size(), header_size + 2000);
    EXPECT_TRUE(rest->end);
  });
}

// The peer's STOP_SENDING alone, without a reset of what it sends.
TEST(QuicStreams, a_reply_that_nobody_wants_is_sent_no_further_and_its_sender_wakes) {
  with_exchanges([](QuicRig& rig, QuicExchanges& exchanges) {
    exchanges.on_bytes(theirs, rig.message(10).bytes(), true);
    Message request;
    const auto taken = exchanges.take_request(default_max_message, request);
    ASSERT_TRUE(taken && *taken != nullptr);
    exchanges.answer(*taken, rig.message(100'000));
    Scheduler& scheduler = rig.client.scheduler();
    run_scope(scheduler, [&](Scope& waits) {
      waits.spawn("answers", [&] {
        EXPECT_EQ((*taken)->changed.wait(scheduler, rig.in(1s), "the test"), Wake::ready);
      });
      (void)scheduler.sleep_for(1ms);
      exchanges.on_new_packet();
      EXPECT_TRUE(exchanges.next_piece());
      exchanges.on_unwanted(theirs);
    });
    EXPECT_FALSE(exchanges.next_piece());
    EXPECT_TRUE((*taken)->unwanted);
    EXPECT_TRUE(exchanges.replies_acked());  // close() waits for no such one
  });
}

TEST(QuicStreams, the_oldest_request_that_is_whole_is_yielded_first) {
  with_exchanges([](QuicRig& rig, QuicExchanges& exchanges) {
    const auto send = [&](std::uint64_t number, std::size_t bytes, bool end) {
      exchanges.on_bytes({QuicStream::Kind::peer_request, number},
                         rig.message(10, number).bytes().first(bytes), end);
    };
    send(2, header_size + 10, true);
    send(1, header_size + 10, true);
    send(0, 20, false);
    for (const std::uint64_t number : {1U, 2U}) {
      Message out;
      const auto taken = exchanges.take_request(default_max_message, out);
      ASSERT_TRUE(taken && *taken != nullptr);
      EXPECT_EQ(request_id(out), number);
    }
    EXPECT_FALSE(yields_request(exchanges));
  });
}

// Our own side gives up what it asked before it says good-bye, so that the wait is for peers that do not.
TEST(QuicStreams, close_waits_until_replies_are_acknowledged) {
  with_exchanges([](QuicRig& rig, QuicExchanges& exchanges) {
    exchanges.on_bytes(theirs, rig.message(10).bytes(), true);
    Message request;
    const auto taken = exchanges.take_request(default_max_message, request);
    ASSERT_TRUE(taken && *taken != nullptr);
    const Message reply = rig.message(3000);
    exchanges.answer(*taken, reply);
    exchanges.on_written(theirs, reply.size());
    exchanges.hand_over();
    exchanges.close();
    EXPECT_FALSE(exchanges.replies_acked());
    exchanges.on_acked(theirs, reply.size() - 1);
    EXPECT_FALSE(exchanges.replies_acked());
    exchanges.on_acked(theirs, 1);
    EXPECT_TRUE(exchanges.replies_acked());
  });
}

QuicInbound one_stream_inbound(QuicRig& rig) {
  QuicOptions options = rig.listening;
  options.one_stream = true;
  return {rig.client.buffers(), options};
}

TEST(QuicStreams, one_stream_that_is_reset_is_broken_and_no_good_bye) {
  in_quic_world([](QuicRig& rig, Scope&) {
    for (const bool between_two : {true, false}) {
      QuicInbound inbound = one_stream_inbound(rig);
      const Message message = rig.message(1000);
      inbound.on_bytes(0, message.bytes(), false);
      if (!between_two) inbound.on_bytes(0, message.bytes().first(700), false);
      inbound.on_reset(0);
      Message out;
      const auto first = inbound.next(default_max_message, out);
      ASSERT_TRUE(first && *first);
      EXPECT_EQ(inbound.next(default_max_message, out).error(), Errc::broken);
      EXPECT_FALSE(inbound.ended());
    }
  });
}

TEST(QuicStreams, a_second_stream_where_there_is_to_be_one_is_invalid) {
  in_quic_world([](QuicRig& rig, Scope&) {
    QuicInbound inbound = one_stream_inbound(rig);
    inbound.on_bytes(1, rig.message(1000).bytes(), true);
    Message out;
    EXPECT_EQ(inbound.next(default_max_message, out).error(), Errc::invalid);
    EXPECT_FALSE(inbound.ended());
  });
}

}  // namespace
}  // namespace twinwire::laws
