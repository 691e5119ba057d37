// SPDX-License-Identifier: Apache-2.0
// farewell: messages both ways and then the end, with nothing that kills a connection. So both sides must part in
// peace: every message arrives, both readers say closed and both closes succeed, whoever was first.
#pragma once

#include <string>

#include "props/laws/env.h"
#include "props/laws/limit_faults.h"
#include "props/laws/told.h"
#include "props/laws/witness.h"
#include "sim/fault_plan.h"
#include "transport/seam.h"

namespace twinwire::laws {

struct Farewell {
  static constexpr std::string_view name = "farewell";
  static constexpr std::string_view summary =
      "messages both ways, then good-bye; no connection may die of it";

  static void limit_faults(sim::FaultPlan& plan) { keep_connections(plan); }

  template <Transport T>
  static void run(Env& env) {
    Network& server = env.node("server");
    Network& client = env.node("client");
    Witness up(env.judge(), "client to server", 2 * env.seed());
    Witness down(env.judge(), "server to client", 2 * env.seed() + 1);
    // Who waits for the other's end, and who ends when it has said all; both may do the latter.
    const bool client_follows = env.draw(3) == 0;
    const bool server_follows = !client_follows && env.draw(4) != 0;
    const std::size_t counts[2] = {env.draw(12), env.draw(12)};
    run_scope(server.scheduler(), [&](Scope& background) {
      auto listener =
          T::listen(server, background, env.bind_address("server"), env.listen_options<T>());
      if (!env.listens(listener)) return;
      run_scope(server.scheduler(), [&](Scope& ends) {
        const FiberHandle serving = ends.spawn("server", [&] {
          auto accepted = listener->accept(server.clock().in(accept_patience));
          if (accepted)
            part<T>(env, server, std::move(accepted->first), counts[0], server_follows, down, up);
        });
        ends.spawn("client", [&, serving] {
          auto conn = T::dial(client, listener->local(), env.dial_options<T>(),
                              client.clock().in(patience));
          if (!env.judge().check(conn.has_value(), "handshake", [&] {
                return "nothing was in the way, and dial failed: " + to_string(conn.error());
              }))
            return server.scheduler().cancel(serving);
          part<T>(env, client, std::move(*conn), counts[1], client_follows, up, down);
        });
      });
      background.cancel();
    });
    for (const Witness* direction : {&up, &down})
      env.judge().check(
          direction->yielded_count() == direction->accepted_count(), "close_delivers", [&] {
            return direction->label() + ": " + std::to_string(direction->yielded_count()) + " of " +
                   std::to_string(direction->accepted_count()) + " messages arrived";
          });
  }

 private:
  // A dial may succeed and the server's part of the handshake fail.
  static constexpr Duration accept_patience = std::chrono::minutes(60);
  static constexpr Duration patience = std::chrono::minutes(30);

  // The reader is never taken over by close: it has come to the end by itself.
  template <Transport T>
  static void part(Env& env, Network& network, typename T::Conn conn, std::size_t count,
                   bool follows, Witness& sent, Witness& seen) {
    auto halves = split(std::move(conn));
    auto& reader = halves.first;
    auto& writer = halves.second;
    Event ended(network.scheduler());
    Told told(env, sent.label().substr(0, sent.label().find(' ')));
    run_scope(network.scheduler(), [&](Scope& both) {
      both.spawn(sent.label() + ".read", [&] {
        for (;;) {
          auto message = told.read(reader, default_max_message, network.clock().in(patience));
          if (message) {
            seen.yielded(*message);
            continue;
          }
          env.judge().check(message.error() == Error{Errc::closed}, "close_delivers", [&] {
            return seen.label() + ": the peer said good-bye, and reading ended with " +
                   to_string(message.error());
          });
          break;
        }
        ended.set();
      });
      both.spawn(sent.label() + ".write", [&] {
        Batch batch(4);
        for (std::size_t i = 0; i < count; ++i) {
          if (auto message = sent.make(network.buffers(), env.draw(3) * env.draw(9000)))
            batch.push(std::move(*message));
          sent.offered(batch);
          auto done = told.send(writer, batch, network.clock().in(patience));
          if (!env.judge().check(done.has_value(), "close_delivers", [&] {
                return sent.label() + ": nothing was in the way, and send_batch failed: " +
                       to_string(done.error());
              }))
            return;
          sent.succeeded();
        }
        // Half of an end that waits for the peer's: otherwise close() would discard what is still to be read.
        if (follows && !ended.wait(network.clock().in(patience), "the peer's end")) return;
        if (!follows) wait_for_all(env, network, seen, ended);
        const auto closed = told.close(writer, patience);
        env.judge().check(closed.has_value(), "close_delivers", [&] {
          return sent.label() +
                 ": nothing was in the way, and close failed: " + to_string(closed.error());
        });
      });
    });
  }

  // Until the peer has fallen silent: what it sends after that is discarded, and would not count as arrived.
  static void wait_for_all(Env&, Network& network, Witness& seen, Event& ended) {
    for (std::size_t before = SIZE_MAX; before != seen.yielded_count();) {
      before = seen.yielded_count();
      if (ended.wait(network.clock().in(std::chrono::seconds(30)), "silence")) return;
    }
  }
};

}  // namespace twinwire::laws
