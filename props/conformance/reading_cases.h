// SPDX-License-Identifier: Apache-2.0
// Conformance of the reading half and of the end of a connection: clauses 4, 5, 8, 9, 10 and 12.
#pragma once

#include "props/conformance/rig.h"
#include "props/conformance/sending_cases.h"

namespace twinwire::props {

// Its readers can take what is here already.
template <class T>
concept can_try_read =
    requires(typename T::Reader reader) { reader.try_read_message(default_max_message); };

template <Transport T>
struct ReadingCases {
  // Clause 9: reads that are told to stop, by deadline and by cancellation, between and inside messages, lose nothing.
  static void reads_that_are_told_to_stop_lose_nothing(Env& env) {
    laws::Witness witness(env.judge(), "stopped reads", env.seed());
    with_pair<T>(env, {2304, 2304}, [&](End<T>& client, End<T>& server) {
      Scheduler& scheduler = client.network->scheduler();
      run_scope(scheduler, [&](Scope& scope) {
        scope.spawn("client", [&] {
          Batch batch(8);
          for (int i = 0; i < 20; ++i) {
            push(env, witness, *client.network, batch, 1, i % 2 == 0 ? 30'000 : 10);
            witness.offered(batch);
            if (!client.writer.send_batch(batch, client.in(std::chrono::seconds(20)))) return;
            witness.succeeded();
            (void)scheduler.sleep_for(std::chrono::microseconds(300));
          }
          expect(env, client.writer.close(std::chrono::seconds(20)).has_value(),
                 "the client closes");
        });
        int stopped = 0;
        for (int i = 0;; ++i) {
          Result<Message> message = Errc::canceled;
          const Deadline soon = server.in(std::chrono::microseconds(50 + 37 * (i % 11)));
          if (i % 2 == 0) {
            message = server.reader.read_message(any_size, soon);
          } else {
            run_scope(scheduler, [&](Scope& reading) {
              const FiberHandle read = reading.spawn("read to cancel", [&] {
                message = server.reader.read_message(any_size, server.in(std::chrono::seconds(20)));
              });
              (void)scheduler.sleep_until(soon.at);
              scheduler.cancel(read);
            });
          }
          if (message) {
            witness.yielded(*message);
            continue;
          }
          if (message.error() != Errc::timed_out && message.error() != Errc::canceled) {
            expect(env, message.error() == Errc::closed, "the reader ends with closed");
            break;
          }
          if (!expect(env, ++stopped < 100'000, "the reader makes progress")) break;
        }
        expect(env, stopped > 0, "reads were stopped");
        (void)server.writer.close(std::chrono::seconds(5));
      });
    });
    expect(env, witness.yielded_count() == 20, "everything arrived");
  }

  static void a_read_with_nothing_to_read_times_out(Env& env) {
    with_pair<T>(env, {}, [&](End<T>& client, End<T>&) {
      const TimePoint start = client.network->clock().now();
      auto message = client.reader.read_message(any_size, client.in(std::chrono::milliseconds(30)));
      const Duration waited = client.network->clock().now() - start;
      expect(env, !message && message.error() == Errc::timed_out, "the read times out");
      expect(env, waited >= std::chrono::milliseconds(30), "not before its deadline");
    });
  }

  // Clause 10: what one read has brought is taken without suspending; where nothing is here, nothing happens.
  static void what_came_together_is_taken_without_suspending(Env& env)
    requires can_try_read<T>
  {
    laws::Witness witness(env.judge(), "taken", env.seed());
    with_pair<T>(env, {}, [&](End<T>& client, End<T>& server) {
      Scheduler& scheduler = server.network->scheduler();
      const auto take = [&] {
        const std::uint64_t runs = scheduler.runs();
        auto message = server.reader.try_read_message(any_size);
        expect(env, scheduler.runs() == runs, "it does not suspend");
        return message;
      };
      const auto nothing = take();
      expect(env, !nothing && nothing.error() == Errc::timed_out, "nothing is here yet");
      Batch batch(20);
      push(env, witness, *client.network, batch, 20, 100);
      witness.offered(batch);
      expect(env, client.writer.send_batch(batch, client.in(std::chrono::seconds(5))).has_value(),
             "all are sent");
      witness.succeeded();
      int reads = 0;
      while (witness.yielded_count() < 20) {
        auto message = server.reader.read_message(any_size, server.in(std::chrono::seconds(5)));
        ++reads;
        if (!expect(env, message.has_value(), "a message comes")) return;
        for (; message; message = take()) witness.yielded(*message);
        expect(env, message.error() == Errc::timed_out, "until no whole one is left");
      }
      expect(env, reads <= 20 / 2, "most came with another");
      run_scope(scheduler, [&](Scope& scope) {
        scope.spawn("client", [&] { (void)client.writer.close(std::chrono::seconds(5)); });
        auto end = server.reader.read_message(any_size, server.in(std::chrono::seconds(5)));
        expect(env, !end && end.error() == Errc::closed, "the reader ends with closed");
        const auto after = take();
        expect(env, !after && after.error() == Errc::closed, "which stays");
        (void)server.writer.close(std::chrono::seconds(5));
      });
    });
  }

  // Clause 8: the reader's maximum binds, to the byte, and whoever exceeds it is dropped.
  static void a_message_over_the_maximum_is_invalid(Env& env) {
    laws::Witness witness(env.judge(), "maximum", env.seed());
    with_pair<T>(env, {}, [&](End<T>& client, End<T>& server) {
      Batch batch(2);
      push(env, witness, *client.network, batch, 1, 1000);
      push(env, witness, *client.network, batch, 1, 1001);
      witness.offered(batch);
      expect(env, client.writer.send_batch(batch, client.in(std::chrono::seconds(5))).has_value(),
             "both are sent");
      const std::size_t max = header_size + 1000;
      auto fits = server.reader.read_message(max, server.in(std::chrono::seconds(5)));
      if (expect(env, fits.has_value(), "the maximum itself is read")) witness.yielded(*fits);
      for (int i = 0; i < 2; ++i) {
        auto over = server.reader.read_message(max, server.in(std::chrono::seconds(5)));
        expect(env, !over && over.error() == Errc::invalid,
               "one byte more is invalid, and stays so");
      }
      expect(env, dropped(server), "the peer was dropped");
      auto told = client.reader.read_message(any_size, client.in(std::chrono::seconds(5)));
      expect(env, !told && told.error() == Errc::broken, "the peer reads broken");
    });
  }

  // Clauses 5 and 12: the end, from both sides, with data still under way.
  static void close_delivers_everything_and_both_sides_agree(Env& env) {
    laws::Witness up(env.judge(), "up", env.seed());
    with_pair<T>(env, {}, [&](End<T>& client, End<T>& server) {
      run_scope(client.network->scheduler(), [&](Scope& scope) {
        scope.spawn("server", [&] {
          (void)server.network->scheduler().sleep_for(std::chrono::milliseconds(5));
          expect(env, read_to_end(server, up) == Error{Errc::closed},
                 "the server reads to the end");
          // Half-closed: what the server sends now is discarded by the closing client, and resets nothing.
          Batch late(1);
          laws::Witness down(env.judge(), "late", env.seed());
          push(env, down, *server.network, late, 1, 5000);
          expect(env,
                 server.writer.send_batch(late, server.in(std::chrono::seconds(5))).has_value(),
                 "the server may still send");
          expect(env, server.writer.close(std::chrono::seconds(5)).has_value(),
                 "the server closes");
        });
        Batch batch(256);
        push(env, up, *client.network, batch, 256, 777);
        up.offered(batch);
        if (client.writer.send_batch(batch, client.in(std::chrono::seconds(5)))) up.succeeded();
        expect(env, client.writer.close(std::chrono::seconds(10)).has_value(), "the client closes");
        expect(env, client.writer.close(std::chrono::seconds(10)).has_value(), "and says so again");
        auto after = client.reader.read_message(any_size, client.in(std::chrono::seconds(1)));
        expect(env, !after && after.error() == Errc::closed, "reading is over");
        push(env, up, *client.network, batch, 1, 0);
        auto sent = client.writer.send_batch(batch, client.in(std::chrono::seconds(1)));
        expect(env, !sent && sent.error() == Errc::closed && batch.size() == 1, "sending is over");
      });
      expect(env, !client.record->aborted && !server.record->aborted, "nobody reset anything");
    });
    expect(env, up.yielded_count() == 256, "everything arrived");
  }

  static void close_gives_up_when_its_grace_is_over(Env& env) {
    with_pair<T>(env, {}, [&](End<T>& client, End<T>& server) {
      const auto closed = client.writer.close(std::chrono::milliseconds(50));
      expect(env, !closed && closed.error() == Errc::timed_out, "close times out");
      expect(env, dropped(client), "and the connection was reset");
      laws::Witness none(env.judge(), "none", env.seed());
      // The farewell came first, then the reset: a reader may meet either.
      const Error end = read_to_end(server, none);
      expect(env, end == Error{Errc::closed} || end == Error{Errc::broken},
             "the peer's reader ends");
    });
  }

  // One failure, one reason: whichever half met it first.
  static void a_reader_that_drops_fails_the_writer_with_one_error(Env& env) {
    laws::Witness up(env.judge(), "up", env.seed());
    laws::Witness down(env.judge(), "down", env.seed() + 1);
    with_pair<T>(env, {2304, 2304}, [&](End<T>& client, End<T>& server) {
      run_scope(client.network->scheduler(), [&](Scope& scope) {
        scope.spawn("server.reader", [&] {
          auto message =
              server.reader.read_message(header_size, server.in(std::chrono::seconds(20)));
          expect(env, !message && message.error() == Errc::invalid, "the reader finds it invalid");
        });
        scope.spawn("client", [&] {
          (void)client.network->scheduler().sleep_for(std::chrono::milliseconds(20));
          Batch batch(1);
          push(env, up, *client.network, batch, 1, 500);
          (void)client.writer.send_batch(batch, client.in(std::chrono::seconds(5)));
        });
        Batch batch(512);
        push(env, down, *server.network, batch, 512, 20'000);
        const auto first = server.writer.send_batch(batch, server.in(std::chrono::seconds(20)));
        const auto second = server.writer.send_batch(batch, server.in(std::chrono::seconds(20)));
        expect(env, !first && !second && first.error() == second.error(),
               "both sends fail with one error");
      });
    });
  }

  static void close_wakes_a_pending_read_with_closed(Env& env) {
    with_pair<T>(env, {}, [&](End<T>& client, End<T>& server) {
      run_scope(client.network->scheduler(), [&](Scope& scope) {
        scope.spawn("client.reader", [&] {
          auto message = client.reader.read_message(any_size, Deadline::never());
          expect(env, !message && message.error() == Errc::closed,
                 "the pending read returns closed");
        });
        scope.spawn("server", [&] {
          laws::Witness none(env.judge(), "none", env.seed());
          expect(env, read_to_end(server, none) == Error{Errc::closed}, "the peer reads closed");
          expect(env, server.writer.close(std::chrono::seconds(5)).has_value(), "the peer closes");
        });
        (void)client.network->scheduler().sleep_for(std::chrono::milliseconds(5));
        expect(env, client.writer.close(std::chrono::seconds(5)).has_value(), "close returns ok");
      });
    });
  }
};

}  // namespace twinwire::props
