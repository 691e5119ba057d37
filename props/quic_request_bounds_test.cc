// SPDX-License-Identifier: Apache-2.0
// Requests over QUIC at their bounds: windows and memory, large ones beside small ones, the end of a connection.
// ctest: no_tsan
#include "props/quic_rig.h"

namespace twinwire::laws {
namespace {

// The window is what it says, also once streams have been given back: the peer may answer none before all are here.
TEST(QuicRequestBounds, as_many_as_the_window_allows_may_be_unanswered_at_a_time) {
  for (const std::size_t window : {1U, 3U, 5U, 8U, 64U})
    in_quic_world([&](QuicRig& rig, Scope& scope) {
      rig.listening.requests_window = window;
      in_talk(rig, scope, [&](Talk& talk) {
        run_scope(rig.client.scheduler(), [&](Scope& both) {
          both.spawn("server", [&] {
            for (std::size_t already = 0; already < window; ++already) {
              for (std::size_t i = 0; i < already; ++i) {  // gives some streams back
                auto request = talk.server_reads.next_request(default_max_message, rig.in(1s));
                ASSERT_TRUE(request) << i << " before " << window;
                EXPECT_TRUE(request->reply(rig.message(1), rig.in(1s)));
              }
              std::vector<QuicRequest> held;
              while (held.size() < window) {
                auto request = talk.server_reads.next_request(default_max_message, rig.in(1s));
                ASSERT_TRUE(request) << held.size() << " of " << window;
                held.push_back(std::move(*request));
              }
              for (QuicRequest& request : held)
                EXPECT_TRUE(request.reply(rig.message(1), rig.in(1s)));
            }
          });
          for (std::size_t already = 0; already < window; ++already)
            run_scope(rig.client.scheduler(), [&](Scope& askers) {
              for (std::size_t i = 0; i < already + window; ++i)
                askers.spawn("asker", [&] {
                  EXPECT_TRUE(
                      talk.client.request(rig.message(1), default_max_message, rig.in(10s)));
                });
            });
        });
      });
    });
}

// Large requests that nobody reads take no more than their windows, whatever their headers claim.
TEST(QuicRequestBounds, what_headers_claim_takes_no_memory) {
  in_quic_world([](QuicRig& rig, Scope& scope) {
    rig.listening.requests_window = 32;
    in_talk(rig, scope, [&](Talk& talk) {
      EXPECT_EQ(talk.server_reads.next_request(default_max_message, rig.in(10ms)).error(),
                Errc::timed_out);
      const Message large = rig.message(std::size_t{16} << 20);
      run_scope(rig.client.scheduler(), [&](Scope& both) {
        std::vector<FiberHandle> askers;
        for (int i = 0; i < 32; ++i)
          askers.push_back(both.spawn("asker", [&] {
            EXPECT_EQ(talk.client.request(large, default_max_message, rig.in(60s)).error(),
                      Errc::canceled);
          }));
        (void)rig.client.scheduler().sleep_for(5s);
        // A block is up to twice what it holds.
        EXPECT_LE(rig.server.buffers().bytes_in_use_max(), 4 * 32 * rig.listening.stream_window);
        // Who reads lets the oldest grow, and no other.
        auto oldest = talk.server_reads.next_request(default_max_message, rig.in(30s));
        ASSERT_TRUE(oldest);
        EXPECT_EQ(oldest->message().size(), large.size());
        EXPECT_LE(rig.server.buffers().bytes_in_use_max(),
                  4 * 32 * rig.listening.stream_window + 4 * large.size());
        for (const FiberHandle asker : askers) rig.client.scheduler().cancel(asker);
      });
    });
  });
}

TEST(QuicRequestBounds, a_reader_that_only_takes_requests_comes_to_a_graceful_end) {
  in_quic_world([](QuicRig& rig, Scope& scope) {
    rig.listening.requests_window = 4;
    in_talk(rig, scope, [&](Talk& talk) {
      run_scope(rig.client.scheduler(), [&](Scope& both) {
        both.spawn("server", [&] {
          {
            const auto reader = std::make_unique<QuicReader>(std::move(talk.server_reads));
            auto request = reader->next_request(default_max_message, rig.in(1s));
            ASSERT_TRUE(request);
            EXPECT_TRUE(request->reply(request->message(), rig.in(1s)));
            EXPECT_EQ(reader->next_request(default_max_message, rig.in(1s)).error(), Errc::closed);
          }
          const auto closed = talk.server.close(5s);
          EXPECT_TRUE(closed) << to_string(closed.error());
        });
        EXPECT_TRUE(talk.client.request(rig.message(1), default_max_message, rig.in(1s)));
        const auto closed = talk.client.close(5s);
        EXPECT_TRUE(closed) << to_string(closed.error());
      });
    });
  });
}

TEST(QuicRequestBounds, hundreds_of_fibers_ask_both_ways_through_small_windows) {
  in_quic_world([](QuicRig& rig, Scope& scope) {
    rig.listening.requests_window = 7;
    rig.dialing.requests_window = 5;
    in_talk(rig, scope, [&](Talk& talk) {
      const auto echo = [&](QuicReader& reader) {
        run_scope(rig.client.scheduler(), [&](Scope& answers) {
          while (auto request = reader.next_request(default_max_message, rig.in(600s)))
            answers.spawn("answer", [&, mine = std::move(*request)]() mutable {
              EXPECT_TRUE(mine.reply(mine.message(), rig.in(60s)));
            });
        });
      };
      run_scope(rig.client.scheduler(), [&](Scope& servers) {
        const FiberHandle one = servers.spawn("server", [&] { echo(talk.server_reads); });
        const FiberHandle other = servers.spawn("client", [&] { echo(talk.client_reads); });
        run_scope(rig.client.scheduler(), [&](Scope& askers) {
          for (std::uint64_t id = 0; id < 600; ++id)
            askers.spawn("asker", [&, id] {
              QuicWriter& writer = id % 2 == 0 ? talk.client : talk.server;
              auto reply =
                  writer.request(rig.message(20 * id, id), default_max_message, rig.in(60s));
              ASSERT_TRUE(reply) << to_string(reply.error());
              EXPECT_TRUE(same(*reply, rig.message(20 * id, id)));
            });
        });
        rig.client.scheduler().cancel(one);
        rig.client.scheduler().cancel(other);
      });
    });
  });
}

// A request that was yielded outlives its halves, and the connection.
TEST(QuicRequestBounds, one_that_outlives_its_connection_is_answered_by_broken) {
  in_quic_world([](QuicRig& rig, Scope& scope) {
    rig.listening.requests_window = 4;
    std::vector<QuicRequest> kept;
    in_talk(rig, scope, [&](Talk& talk) {
      run_scope(rig.client.scheduler(), [&](Scope& both) {
        for (int i = 0; i < 3; ++i)
          both.spawn("asker", [&] {
            EXPECT_EQ(talk.client.request(rig.message(0), default_max_message, rig.in(5s)).error(),
                      Errc::broken);
            EXPECT_LE(rig.client.clock().now().ns, Duration(1s).count());  // at once
          });
        for (int i = 0; i < 3; ++i)
          kept.push_back(*talk.server_reads.next_request(default_max_message, rig.in(1s)));
        { const QuicWriter gone = std::move(talk.server); }
        EXPECT_EQ(kept.back().reply(rig.message(0), rig.in(1s)).error(), Errc::broken);
        kept.pop_back();
      });
    });
    (void)rig.server.scheduler().sleep_for(60s);
    EXPECT_EQ(kept.back().reply(rig.message(0), rig.in(1s)).error(), Errc::broken);
  });
}

// However far it has come: the fiber that asked goes at once, and the connection lives.
TEST(QuicRequestBounds, canceled_at_any_time_it_ends_alone) {
  for (int us = 0; us < 30'000; us += 331)
    in_quic_world([&](QuicRig& rig, Scope& scope) {
      rig.listening.requests_window = 2;
      in_talk(rig, scope, [&](Talk& talk) {
        run_scope(rig.client.scheduler(), [&](Scope& both) {
          const FiberHandle server = both.spawn("server", [&] {
            for (int i = 0;; ++i) {
              auto request = talk.server_reads.next_request(default_max_message, rig.in(60s));
              if (!request) return;
              if (i % 3 == 1) continue;
              const auto sent = request->reply(rig.message(200'000), rig.in(5s));
              EXPECT_TRUE(sent || sent.error() == Errc::refused) << to_string(sent.error());
            }
          });
          run_scope(rig.client.scheduler(), [&](Scope& asking) {
            std::vector<FiberHandle> askers;
            for (int i = 0; i < 6; ++i)
              askers.push_back(asking.spawn("asker", [&] {
                const auto reply =
                    talk.client.request(rig.message(150'000), default_max_message, rig.in(60s));
                EXPECT_TRUE(reply || reply.error() == Errc::canceled ||
                            reply.error() == Errc::refused)
                    << to_string(reply.error());
              }));
            (void)rig.client.scheduler().sleep_for(std::chrono::microseconds(us));
            for (const FiberHandle asker : askers) rig.client.scheduler().cancel(asker);
          });
          EXPECT_LE(rig.client.clock().now().ns, Duration(5s).count());
          (void)rig.client.scheduler().sleep_for(1s);
          rig.client.scheduler().cancel(server);
          both.spawn("client", [&] { EXPECT_TRUE(talk.client.close(5s)); });
          const auto closed = talk.server.close(5s);
          EXPECT_TRUE(closed) << to_string(closed.error());
        });
      });
    });
}

// Of what is asked when a side closes, and after: what has no answer is refused at once, not when all is over.
TEST(QuicRequestBounds, who_closes_refuses_what_it_has_not_answered) {
  in_quic_world([](QuicRig& rig, Scope& scope) {
    rig.listening.requests_window = 4;
    in_talk(rig, scope, [&](Talk& talk) {
      run_scope(rig.client.scheduler(), [&](Scope& both) {
        const auto ask = [&](std::size_t body) {
          EXPECT_EQ(
              talk.client.request(rig.message(body), default_max_message, rig.in(60s)).error(),
              Errc::refused);
          EXPECT_LE(rig.client.clock().now().ns, Duration(2s).count());
        };
        both.spawn("is held", [&] { ask(10); });
        both.spawn("is half there", [&] { ask(1'000'000); });
        auto held = talk.server_reads.next_request(default_max_message, rig.in(1s));
        ASSERT_TRUE(held);
        (void)rig.client.scheduler().sleep_for(100ms);
        both.spawn("server", [&] {
          const auto closed = talk.server.close(60s);
          EXPECT_TRUE(closed) << to_string(closed.error());
        });
        (void)rig.client.scheduler().sleep_for(1s);
        ask(10);
        const auto closed = talk.client.close(5s);
        EXPECT_TRUE(closed) << to_string(closed.error());
      });
    });
  });
}

TEST(QuicRequestBounds, of_who_asked_and_closes_the_peer_learns_that_no_reply_is_wanted) {
  in_quic_world([](QuicRig& rig, Scope& scope) {
    rig.listening.requests_window = 4;
    in_talk(rig, scope, [&](Talk& talk) {
      run_scope(rig.client.scheduler(), [&](Scope& both) {
        both.spawn("asker", [&] {
          EXPECT_EQ(talk.client.request(rig.message(0), default_max_message, rig.in(60s)).error(),
                    Errc::closed);
        });
        auto request = talk.server_reads.next_request(default_max_message, rig.in(1s));
        ASSERT_TRUE(request);
        both.spawn("client", [&] { EXPECT_TRUE(talk.client.close(60s)); });
        (void)rig.client.scheduler().sleep_for(1s);
        EXPECT_EQ(request->reply(rig.message(0), rig.in(1s)).error(), Errc::refused);
        EXPECT_TRUE(talk.server.close(5s));
      });
    });
  });
}

// Streams take turns: a small request is through long before a large one, and before a large message.
TEST(QuicRequestBounds, large_ones_hold_up_no_small_one) {
  for (const bool behind_a_message : {false, true})
    in_quic_world([&](QuicRig& rig, Scope& scope) {
      rig.listening.requests_window = 4;
      rig.listening.stream_window = std::size_t{64} << 20;  // what is large never waits for credit
      rig.listening.connection_window = std::size_t{128} << 20;
      in_talk(rig, scope, [&](Talk& talk) {
        bool large_is_sent = false;
        run_scope(rig.client.scheduler(), [&](Scope& both) {
          const FiberHandle server = both.spawn("server", [&] {
            while (auto request = talk.server_reads.next_request(default_max_message, rig.in(60s)))
              EXPECT_TRUE(request->reply(rig.message(0), rig.in(5s)));
          });
          const FiberHandle reader = both.spawn("reader", [&] {
            while (talk.server_reads.read_message(default_max_message, rig.in(60s))) {}
          });
          run_scope(rig.client.scheduler(), [&](Scope& asking) {
            asking.spawn("large", [&] {
              const Message large = rig.message(20'000'000);
              if (behind_a_message) {
                Batch batch(1);
                batch.push(large);
                EXPECT_TRUE(talk.client.send_batch(batch, rig.in(60s)));
              } else {
                EXPECT_TRUE(talk.client.request(large, default_max_message, rig.in(60s)));
              }
              large_is_sent = true;
            });
            (void)rig.client.scheduler().sleep_for(1ms);
            for (int i = 0; i < 3; ++i) {
              EXPECT_TRUE(talk.client.request(rig.message(100), default_max_message, rig.in(60s)));
              EXPECT_FALSE(large_is_sent) << i;
            }
          });
          rig.client.scheduler().cancel(server);
          rig.client.scheduler().cancel(reader);
        });
      });
    });
}

TEST(QuicRequestBounds, what_does_not_match_its_seal_is_invalid) {
  for (const bool reply : {false, true})
    in_quic_world([&](QuicRig& rig, Scope& scope) {
      rig.listening.requests_window = 4;
      (reply ? rig.dialing : rig.listening).verify_seal = true;
      in_talk(rig, scope, [&](Talk& talk) {
        run_scope(rig.client.scheduler(), [&](Scope& both) {
          both.spawn("server", [&] {
            auto request = talk.server_reads.next_request(default_max_message, rig.in(1s));
            if (reply) {
              ASSERT_TRUE(request);
              EXPECT_TRUE(request->reply(rig.message(100), rig.in(1s)));
            } else {
              EXPECT_EQ(request.error(), Errc::invalid);
            }
          });
          EXPECT_EQ(talk.client.request(rig.message(100), default_max_message, rig.in(5s)).error(),
                    reply ? Errc::invalid : Errc::broken);
        });
      });
    });
}

// What a caller must not do aborts, as the headers say.
TEST(QuicRequestDeathTest, a_broken_precondition_aborts) {
  const auto serve = [](std::size_t window, auto&& body) {
    in_quic_world([&](QuicRig& rig, Scope& scope) {
      rig.listening.requests_window = window;
      in_talk(rig, scope, [&](Talk& talk) {
        run_scope(rig.client.scheduler(), [&](Scope& both) {
          both.spawn("asker", [&] {
            (void)talk.client.request(rig.message(0), default_max_message, rig.in(1s));
          });
          body(rig, talk);
        });
      });
    });
  };
  const auto next = [](QuicRig& rig, Talk& talk) {
    return talk.server_reads.next_request(default_max_message, rig.in(1s));
  };
  EXPECT_DEATH(serve(0, [&](QuicRig& rig, Talk& talk) { (void)next(rig, talk); }),
               "this side takes no requests");
  EXPECT_DEATH(serve(1,
                     [&](QuicRig& rig, Talk& talk) {
                       auto request = next(rig, talk);
                       for (int i = 0; i < 2; ++i) (void)request->reply(rig.message(0), rig.in(1s));
                     }),
               "a request is answered once");
  EXPECT_DEATH(serve(1, [&](QuicRig& rig,
                            Talk& talk) { (void)next(rig, talk)->reply(Message(), rig.in(1s)); }),
               "a reply is a whole frame");
  EXPECT_DEATH(serve(1,
                     [&](QuicRig& rig, Talk& talk) {
                       (void)talk.client.request(Message(), default_max_message, rig.in(1s));
                     }),
               "a request is a whole frame");
  EXPECT_DEATH(serve(1,
                     [&](QuicRig& rig, Talk& talk) {
                       run_scope(rig.server.scheduler(), [&](Scope& two) {
                         two.spawn("one", [&] { (void)next(rig, talk); });
                         (void)next(rig, talk);
                         (void)next(rig, talk);
                       });
                     }),
               "two fibers inside one next_request");
}

}  // namespace
}  // namespace twinwire::laws
