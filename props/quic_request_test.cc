// SPDX-License-Identifier: Apache-2.0
// Requests over QUIC, one call at a time: what each error is for, and that one request's fate is no other's.
// ctest: no_tsan
#include "props/quic_rig.h"

namespace twinwire::laws {
namespace {

TEST(QuicRequest, a_reply_comes_back_to_who_asked_however_late) {
  in_quic_world([](QuicRig& rig, Scope& scope) {
    rig.listening.requests_window = 16;
    in_talk(rig, scope, [&](Talk& talk) {
      run_scope(rig.client.scheduler(), [&](Scope& both) {
        both.spawn("server", [&] {
          std::vector<QuicRequest> held;
          for (int i = 0; i < 5; ++i)
            held.push_back(*talk.server_reads.next_request(default_max_message, rig.in(1s)));
          while (!held.empty()) {  // the last is answered first
            const std::uint64_t id = request_id(held.back().message());
            EXPECT_TRUE(held.back().reply(rig.message(700'000, id), rig.in(10s)));
            held.pop_back();
          }
        });
        for (std::uint64_t id = 1; id <= 5; ++id)
          both.spawn("asker", [&, id] {
            auto reply =
                talk.client.request(rig.message(300 * id, id), default_max_message, rig.in(10s));
            ASSERT_TRUE(reply) << to_string(reply.error());
            EXPECT_TRUE(same(*reply, rig.message(700'000, id)));
          });
      });
    });
  });
}

TEST(QuicRequest, a_peer_that_takes_none_refuses_at_once) {
  in_quic_world([](QuicRig& rig, Scope& scope) {
    in_talk(rig, scope, [&](Talk& talk) {
      const TimePoint before = rig.client.clock().now();
      EXPECT_EQ(talk.client.request(rig.message(0), default_max_message, rig.in(5s)).error(),
                Errc::refused);
      EXPECT_EQ(rig.client.clock().now(), before);
    });
  });
}

TEST(QuicRequest, one_that_is_dropped_is_refused_and_the_next_is_answered) {
  in_quic_world([](QuicRig& rig, Scope& scope) {
    rig.listening.requests_window = 1;
    in_talk(rig, scope, [&](Talk& talk) {
      run_scope(rig.client.scheduler(), [&](Scope& both) {
        both.spawn("server", [&] {
          (void)talk.server_reads.next_request(default_max_message,
                                               rig.in(1s));  // and away with it
          auto second = talk.server_reads.next_request(default_max_message, rig.in(1s));
          ASSERT_TRUE(second);
          EXPECT_TRUE(second->reply(second->message(), rig.in(1s)));
        });
        EXPECT_EQ(talk.client.request(rig.message(9, 1), default_max_message, rig.in(1s)).error(),
                  Errc::refused);
        auto reply = talk.client.request(rig.message(9, 2), default_max_message, rig.in(1s));
        ASSERT_TRUE(reply) << to_string(reply.error());
        EXPECT_TRUE(same(*reply, rig.message(9, 2)));
      });
    });
  });
}

TEST(QuicRequest, who_gives_up_is_forgotten_and_the_answer_says_refused) {
  in_quic_world([](QuicRig& rig, Scope& scope) {
    rig.listening.requests_window = 4;
    in_talk(rig, scope, [&](Talk& talk) {
      EXPECT_EQ(talk.client.request(rig.message(0), default_max_message, rig.in(10ms)).error(),
                Errc::timed_out);
      // It was whole; the reset comes behind it, before anybody reads it.
      (void)rig.server.scheduler().sleep_for(1ms);
      EXPECT_EQ(talk.server_reads.next_request(default_max_message, rig.in(10ms)).error(),
                Errc::timed_out);
      run_scope(rig.client.scheduler(), [&](Scope& both) {
        both.spawn("server", [&] {
          auto request = talk.server_reads.next_request(default_max_message, rig.in(1s));
          ASSERT_TRUE(request);
          (void)rig.server.scheduler().sleep_for(50ms);
          EXPECT_EQ(request->reply(rig.message(0), rig.in(1s)).error(), Errc::refused);
        });
        EXPECT_EQ(talk.client.request(rig.message(0), default_max_message, rig.in(10ms)).error(),
                  Errc::timed_out);
      });
      Batch batch(1);
      batch.push(rig.message(3));
      EXPECT_TRUE(talk.client.send_batch(batch, rig.in(1s)));
      EXPECT_TRUE(talk.server_reads.read_message(default_max_message, rig.in(1s)));
    });
  });
}

TEST(QuicRequest, a_request_counts_as_the_first_message) {
  in_quic_world([](QuicRig& rig, Scope& scope) {
    rig.listening.requests_window = 4;
    rig.listening.accept_after_first_message = true;
    auto listener = Quic::listen(rig.server, scope, rig.server.address(4000), rig.listening);
    ASSERT_TRUE(listener);
    run_scope(rig.client.scheduler(), [&](Scope& both) {
      both.spawn("server", [&] {
        auto peer = listener->accept(rig.in(5s));
        ASSERT_TRUE(peer);
        auto [reader, writer] = split(std::move(peer->first));
        auto request = reader.next_request(default_max_message, rig.in(1s));
        ASSERT_TRUE(request);
        EXPECT_TRUE(request->reply(request->message(), rig.in(1s)));
        EXPECT_TRUE(writer.close(5s));
      });
      auto conn = Quic::dial(rig.client, listener->local(), rig.dialing, rig.in(5s));
      ASSERT_TRUE(conn);
      auto [reader, writer] = split(std::move(*conn));
      EXPECT_TRUE(writer.request(rig.message(3), default_max_message, rig.in(5s)));
      EXPECT_TRUE(writer.close(5s));
    });
  });
}

// A stream that is given up gives its place and its bytes back: else the window is used up after a few.
TEST(QuicRequest, ten_thousand_that_were_given_up_use_up_nothing) {
  in_quic_world([](QuicRig& rig, Scope& scope) {
    rig.listening.requests_window = 3;
    in_talk(rig, scope, [&](Talk& talk) {
      for (int i = 0; i < 10'000; ++i)
        ASSERT_EQ(talk.client.request(rig.message(2000), default_max_message, rig.in(1ms)).error(),
                  Errc::timed_out);
      (void)rig.client.scheduler().sleep_for(1ms);  // until the last of them is forgotten there
      run_scope(rig.client.scheduler(), [&](Scope& both) {
        both.spawn("server", [&] {
          auto request = talk.server_reads.next_request(default_max_message, rig.in(1s));
          ASSERT_TRUE(request);
          EXPECT_TRUE(request->reply(rig.message(400'000), rig.in(1s)));
        });
        EXPECT_TRUE(talk.client.request(rig.message(400'000), default_max_message, rig.in(5s)));
      });
    });
  });
}

// Requests that nobody reads take nothing from messages.
TEST(QuicRequest, unread_requests_do_not_hold_up_messages) {
  in_quic_world([](QuicRig& rig, Scope& scope) {
    rig.listening.requests_window = 8;
    in_talk(rig, scope, [&](Talk& talk) {
      run_scope(rig.client.scheduler(), [&](Scope& both) {
        std::vector<FiberHandle> askers;
        for (int i = 0; i < 8; ++i)
          askers.push_back(both.spawn("asker", [&] {
            EXPECT_EQ(
                talk.client.request(rig.message(900'000), default_max_message, rig.in(60s)).error(),
                Errc::canceled);
          }));
        for (int i = 0; i < 40; ++i) {
          Batch batch(1);
          batch.push(rig.message(200'000));
          ASSERT_TRUE(talk.client.send_batch(batch, rig.in(5s))) << i;
          ASSERT_TRUE(talk.server_reads.read_message(default_max_message, rig.in(5s))) << i;
        }
        for (const FiberHandle asker : askers) rig.client.scheduler().cancel(asker);
      });
    });
  });
}

TEST(QuicRequest, a_reply_over_the_maximum_and_a_request_over_it_end_the_connection) {
  for (const bool reply_too_large : {false, true})
    in_quic_world([&](QuicRig& rig, Scope& scope) {
      rig.listening.requests_window = 4;
      in_talk(rig, scope, [&](Talk& talk) {
        run_scope(rig.client.scheduler(), [&](Scope& both) {
          both.spawn("server", [&] {
            auto request = talk.server_reads.next_request(1000, rig.in(1s));
            if (!reply_too_large) {
              EXPECT_EQ(request.error(), Errc::invalid);
              return;
            }
            ASSERT_TRUE(request);
            (void)request->reply(rig.message(900'000), rig.in(1s));
          });
          const auto reply =
              talk.client.request(rig.message(reply_too_large ? 100 : 800'000), 5000, rig.in(5s));
          EXPECT_EQ(reply.error(), reply_too_large ? Errc::invalid : Errc::broken);
        });
        Batch batch(1);
        batch.push(rig.message(0));
        EXPECT_FALSE(talk.client.send_batch(batch, rig.in(1s)));
      });
    });
}

TEST(QuicRequest, close_ends_what_is_asked_and_delivers_what_is_answered) {
  in_quic_world([](QuicRig& rig, Scope& scope) {
    rig.listening.requests_window = 4;
    rig.dialing.requests_window = 4;
    in_talk(rig, scope, [&](Talk& talk) {
      run_scope(rig.client.scheduler(), [&](Scope& both) {
        both.spawn("asks the one that closes", [&] {
          auto reply = talk.client.request(rig.message(5), default_max_message, rig.in(10s));
          ASSERT_TRUE(reply) << to_string(reply.error());
          EXPECT_EQ(reply->size(), header_size + 350'000);
        });
        both.spawn("asks and closes", [&] {
          EXPECT_EQ(talk.server.request(rig.message(5), default_max_message, rig.in(10s)).error(),
                    Errc::closed);
        });
        both.spawn("is asked", [&] {
          auto request = talk.client_reads.next_request(default_max_message, rig.in(1s));
          ASSERT_TRUE(request);
          EXPECT_EQ(talk.client_reads.next_request(default_max_message, rig.in(5s)).error(),
                    Errc::closed);
          EXPECT_TRUE(talk.client.close(10s));
          EXPECT_EQ(request->reply(rig.message(0), rig.in(1s)).error(), Errc::closed);
        });
        auto request = talk.server_reads.next_request(default_max_message, rig.in(1s));
        ASSERT_TRUE(request);
        ASSERT_TRUE(request->reply(rig.message(350'000), rig.in(5s)));
        const auto closed = talk.server.close(10s);
        EXPECT_TRUE(closed) << to_string(closed.error());
        EXPECT_EQ(talk.server.request(rig.message(0), default_max_message, rig.in(1s)).error(),
                  Errc::closed);
      });
    });
  });
}

}  // namespace
}  // namespace twinwire::laws
