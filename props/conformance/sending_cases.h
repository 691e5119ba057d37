// SPDX-License-Identifier: Apache-2.0
// Conformance of the writing half: clauses 1, 2, 3, 6, 7 and 10.
#pragma once

#include "props/conformance/rig.h"

namespace twinwire::props {

// Reads until an error, checking every message; returns the error.
template <Transport T>
Error read_to_end(End<T>& end, laws::Witness& witness, Duration pause = Duration(0)) {
  for (;;) {
    auto message = end.reader.read_message(any_size, end.in(std::chrono::seconds(20)));
    if (!message) return message.error();
    witness.yielded(*message);
    if (pause.count() != 0) (void)end.network->scheduler().sleep_for(pause);
  }
}

template <Transport T>
struct SendingCases {
  // Clauses 1, 2, 5: batches of many sizes arrive whole, adjacent and in order, and the allocation serves all of them.
  static void batches_arrive_whole_and_reuse_their_allocation(Env& env) {
    laws::Witness witness(env.judge(), "batches", env.seed());
    with_pair<T>(env, {}, [&](End<T>& client, End<T>& server) {
      run_scope(client.network->scheduler(), [&](Scope& scope) {
        scope.spawn("server", [&] {
          expect(env, read_to_end(server, witness) == Error{Errc::closed},
                 "the reader ends with closed");
          expect(env, server.writer.close(std::chrono::seconds(5)).has_value(),
                 "the server closes");
        });
        Batch batch(batch_messages_max);
        const Message* allocation = batch.messages().data();
        for (const std::size_t count : {1, 2, 3, 17, 64, 65, 256, 511, 512, 1}) {
          push(env, witness, *client.network, batch, count, count % 7 * 100);
          witness.offered(batch);
          client.record->in_flight = is_zero_copy<T> ? &batch : nullptr;
          const auto sent = client.writer.send_batch(batch, client.in(std::chrono::seconds(20)));
          client.record->in_flight = nullptr;
          if (!expect(env, sent.has_value(), "send_batch succeeds")) return;
          witness.succeeded();
          expect(env, batch.empty() && batch.messages().data() == allocation,
                 "the allocation is kept");
        }
        expect(env, client.writer.close(std::chrono::seconds(20)).has_value(), "the client closes");
      });
    });
    expect(env, witness.yielded_count() == witness.accepted_count(), "everything arrived");
  }

  // Clause 6: small buffers and a slow reader force short writes, and nobody sees them.
  static void short_writes_are_finished_and_never_surface(Env& env) {
    laws::Witness witness(env.judge(), "short writes", env.seed());
    with_pair<T>(env, {2304, 2304}, [&](End<T>& client, End<T>& server) {
      run_scope(client.network->scheduler(), [&](Scope& scope) {
        scope.spawn("server", [&] {
          expect(
              env,
              read_to_end(server, witness, std::chrono::microseconds(100)) == Error{Errc::closed},
              "the reader ends with closed");
          (void)server.writer.close(std::chrono::seconds(5));
        });
        Batch batch(batch_messages_max);
        for (int round = 0; round < 5; ++round) {
          push(env, witness, *client.network, batch, 100, 333 + 1000 * (round % 2));
          witness.offered(batch);
          const auto sent = client.writer.send_batch(batch, client.in(std::chrono::seconds(60)));
          if (!expect(env, sent.has_value(), "send_batch succeeds")) return;
          witness.succeeded();
        }
        expect(env, client.writer.close(std::chrono::seconds(20)).has_value(), "the client closes");
      });
      expect(env, client.record->short_writes > 0 || over_datagrams<T>, "short writes happened");
    });
    expect(env, witness.yielded_count() == 500, "everything arrived");
  }

  // Clauses 3 and 10: the peer does not read; the deadline passes; the connection is dropped and stays dropped.
  static void a_deadline_in_mid_batch_drops_the_connection(Env& env) {
    laws::Witness witness(env.judge(), "deadline", env.seed());
    with_pair<T>(env, {2304, 2304}, [&](End<T>& client, End<T>& server) {
      Batch batch(batch_messages_max);
      push(env, witness, *client.network, batch, 512, 20'000);
      witness.offered(batch);
      const Batch before = batch;
      bool reader_woke = false;
      run_scope(client.network->scheduler(), [&](Scope& scope) {
        scope.spawn("client.reader", [&] {
          auto message = client.reader.read_message(any_size, client.in(std::chrono::seconds(60)));
          reader_woke = !message && message.error() == Errc::broken;
        });
        const auto sent =
            client.writer.send_batch(batch, client.in(std::chrono::milliseconds(200)));
        expect(env, !sent && sent.error() == Errc::timed_out, "send_batch times out");
      });
      expect(env, reader_woke, "the drop woke the reader with broken");
      expect(env, batch.size() == 512 && batch[511].bytes().data() == before[511].bytes().data(),
             "the failed batch is whole");
      expect(env, dropped(client) && !client.record->shut, "the connection was reset");
      const std::uint64_t writes = client.record->writes;
      const auto again = client.writer.send_batch(batch, client.in(std::chrono::seconds(1)));
      expect(env, !again && again.error() == Errc::timed_out, "the same error again");
      expect(env, client.record->writes == writes, "without touching the network");
      expect(env, read_to_end(server, witness) == Error{Errc::broken},
             "the peer reads a prefix and then broken");
    });
  }

  // Clause 10 in the writer: cancellation is a value, and it drops.
  static void a_canceled_send_drops_the_connection(Env& env) {
    laws::Witness witness(env.judge(), "cancel", env.seed());
    with_pair<T>(env, {2304, 2304}, [&](End<T>& client, End<T>& server) {
      Batch batch(batch_messages_max);
      push(env, witness, *client.network, batch, 512, 20'000);
      witness.offered(batch);
      Result<void> sent;
      run_scope(client.network->scheduler(), [&](Scope& scope) {
        const FiberHandle sending = scope.spawn(
            "sender", [&] { sent = client.writer.send_batch(batch, Deadline::never()); });
        (void)client.network->scheduler().sleep_for(std::chrono::milliseconds(50));
        client.network->scheduler().cancel(sending);
      });
      expect(env, !sent && sent.error() == Errc::canceled, "send_batch returns canceled");
      expect(env, batch.size() == 512 && dropped(client), "whole, and dropped");
      expect(env, read_to_end(server, witness) == Error{Errc::broken},
             "the peer reads a prefix and then broken");
    });
  }

  // Clause 3: destroying a half is a drop, too.
  static void destroying_a_half_resets_the_peer(Env& env) {
    laws::Witness witness(env.judge(), "destroy", env.seed());
    with_pair<T>(env, {}, [&](End<T>& client, End<T>& server) {
      { auto gone = std::move(client.writer); }
      expect(env, dropped(client), "the connection was reset");
      expect(env, read_to_end(server, witness) == Error{Errc::broken},
             "the peer's reader says broken");
      auto own = client.reader.read_message(any_size, client.in(std::chrono::seconds(1)));
      expect(env, !own && own.error() == Errc::broken, "the own reader says broken");
      Batch batch(1);
      push(env, witness, *server.network, batch, 1, 0);
      expect(env, !server.writer.send_batch(batch, server.in(std::chrono::seconds(1))),
             "the peer cannot send");
    });
  }

  static void an_empty_batch_does_nothing_and_513_are_refused(Env& env) {
    laws::Witness witness(env.judge(), "sizes", env.seed());
    with_pair<T>(env, {}, [&](End<T>& client, End<T>&) {
      Batch batch(513);
      const std::uint64_t writes = client.record->writes;  // of the handshake
      expect(env, client.writer.send_batch(batch, client.in(std::chrono::seconds(1))).has_value(),
             "empty succeeds");
      expect(env, client.record->writes == writes, "empty touches nothing");
      push(env, witness, *client.network, batch, 513, 0);
      const auto sent = client.writer.send_batch(batch, client.in(std::chrono::seconds(1)));
      expect(env, !sent && sent.error() == Errc::too_large && batch.size() == 513,
             "513 are refused whole");
      expect(env, client.record->writes == writes && dropped(client),
             "nothing was written, and dropped");
    });
  }
};

}  // namespace twinwire::props
