// SPDX-License-Identifier: Apache-2.0
// The two halves beside each other: what one does and the other must not feel, or must feel once.
#pragma once

#include <optional>
#include <utility>

#include "props/conformance/rig.h"
#include "props/conformance/sending_cases.h"

namespace twinwire::props {

template <Transport T>
struct HalvesCases {
  // Cancelled before it began, though a whole message lies ready: it takes nothing.
  static void a_read_begun_with_a_cancel_pending_takes_nothing(Env& env) {
    laws::Witness witness(env.judge(), "pending cancel", env.seed());
    with_pair<T>(env, {}, [&](End<T>& client, End<T>& server) {
      Batch batch(2);
      push(env, witness, *client.network, batch, 2, 100);
      witness.offered(batch);
      if (!expect(env,
                  client.writer.send_batch(batch, client.in(std::chrono::seconds(5))).has_value(),
                  "two messages are sent"))
        return;
      witness.succeeded();
      // The second is buffered when the first has been read.
      auto first = server.reader.read_message(any_size, server.in(std::chrono::seconds(5)));
      if (!expect(env, first.has_value(), "the first is read")) return;
      witness.yielded(*first);
      run_scope(server.network->scheduler(), [&](Scope& scope) {
        const FiberHandle reading = scope.spawn("canceled from the start", [&] {
          auto none = server.reader.read_message(any_size, server.in(std::chrono::seconds(5)));
          expect(env, !none && none.error() == Errc::canceled, "it returns canceled");
        });
        server.network->scheduler().cancel(reading);
      });
      auto second = server.reader.read_message(any_size, server.in(std::chrono::seconds(5)));
      if (expect(env, second.has_value(), "the next read yields the message"))
        witness.yielded(*second);
    });
  }

  // The peer said good-bye and the reader saw it: its destruction is no drop, and the writer may still send.
  static void a_reader_destroyed_after_closed_leaves_the_writer_up(Env& env) {
    laws::Witness witness(env.judge(), "after closed", env.seed());
    with_pair<T>(env, {}, [&](End<T>& client, End<T>& server) {
      run_scope(client.network->scheduler(), [&](Scope& scope) {
        scope.spawn("client", [&] {
          expect(env, client.writer.close(std::chrono::seconds(10)).has_value(),
                 "the client's close returns ok");
        });
        auto end = server.reader.read_message(any_size, server.in(std::chrono::seconds(5)));
        expect(env, !end && end.error() == Errc::closed, "the server reads closed");
        { auto gone = std::move(server.reader); }
        expect(env, !server.record->aborted, "nothing was reset");
        Batch batch(1);
        push(env, witness, *server.network, batch, 1, 100);
        expect(env, server.writer.send_batch(batch, server.in(std::chrono::seconds(5))).has_value(),
               "the server still sends");
        expect(env, server.writer.close(std::chrono::seconds(5)).has_value(),
               "the server's close returns ok");
      });
    });
  }

  // A connection is dropped once, for one reason; what happens afterwards does not replace it.
  static void the_first_reason_of_a_drop_stays(Env& env) {
    laws::Witness witness(env.judge(), "first reason", env.seed());
    with_pair<T>(env, {2304, 2304}, [&](End<T>& client, End<T>&) {
      Batch batch(512);
      push(env, witness, *client.network, batch, 512, 20'000);
      const auto sent = client.writer.send_batch(batch, client.in(std::chrono::milliseconds(100)));
      expect(env, !sent && sent.error() == Errc::timed_out, "a send runs out of time");
      { auto gone = std::move(client.reader); }  // would be a drop by itself
      const auto again = client.writer.send_batch(batch, client.in(std::chrono::milliseconds(100)));
      expect(env, !again && again.error() == Errc::timed_out, "and that stays the reason");
    });
  }
};

}  // namespace twinwire::props
