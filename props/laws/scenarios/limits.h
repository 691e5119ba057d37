// SPDX-License-Identifier: Apache-2.0
// limits: the numbers of the contract. 0, 1, 512 and 513 messages; a message of exactly the reader's maximum.
#pragma once

#include <string>

#include "props/laws/env.h"
#include "props/laws/limit_faults.h"
#include "props/laws/tap.h"
#include "props/laws/told.h"
#include "props/laws/witness.h"
#include "sim/fault_plan.h"
#include "transport/seam.h"

namespace twinwire::laws {

struct Limits {
  static constexpr std::string_view name = "limits";
  static constexpr std::string_view summary =
      "batches of 0, 1, 512 and 513 messages, a message of the maximum size";

  // The numbers are the subject: no connection may die of anything else.
  static void limit_faults(sim::FaultPlan& plan) { keep_connections(plan); }

  template <Transport T>
  static void run(Env& env) {
    Network& server = env.node("server");
    TapNetwork client(env.node("client"), env.judge(), env.origins());
    const std::size_t body = 2 + env.draw(5000);
    // Copied where asked for: then 512 of the smallest are more than are copied at one time.
    const std::size_t coalesce_below = env.draw(2) == 1 ? 1000 : 0;
    Witness witness(env.judge(), "limits", env.seed());
    run_scope(server.scheduler(), [&](Scope& background) {
      auto listener =
          T::listen(server, background, env.bind_address("server"), env.listen_options<T>());
      if (!env.listens(listener)) return;
      run_scope(server.scheduler(), [&](Scope& ends) {
        const FiberHandle serving = ends.spawn("server", [&] {
          auto accepted = listener->accept(server.clock().in(accept_patience));
          if (accepted)
            read<T>(env, server, std::move(accepted->first), header_size + body, witness);
        });
        ends.spawn("client", [&, serving] {
          if (!send<T>(env, client, listener->local(), body, coalesce_below, witness))
            server.scheduler().cancel(serving);
        });
      });
      background.cancel();
    });
  }

 private:
  // A dial may succeed and the server's part of the handshake fail.
  static constexpr Duration accept_patience = std::chrono::minutes(60);
  static constexpr Duration patience = std::chrono::minutes(30);

  template <Transport T>
  static void read(Env& env, Network& network, typename T::Conn conn, std::size_t max,
                   Witness& witness) {
    auto [reader, writer] = split(std::move(conn));
    Told told(env, "server");
    for (;;) {
      auto message = told.read(reader, max, network.clock().in(patience));
      if (!message) {
        env.judge().check(message.error() == Error{Errc::broken}, "batch_limit", [&] {
          return "after a batch of 513 the peer's reader ended with " + to_string(message.error());
        });
        break;
      }
      witness.yielded(*message);
    }
    env.judge().check(witness.yielded_count() <= 513, "batch_limit",
                      "messages of a refused batch arrived");
  }

  template <Transport T>
  static bool send(Env& env, TapNetwork& network, const Address& server, std::size_t body,
                   std::size_t coalesce_below, Witness& witness) {
    typename T::Options options = env.dial_options<T>();
    options.coalesce_below = coalesce_below;
    auto conn = T::dial(network, server, options, network.clock().in(patience));
    if (!conn) return false;
    auto [reader, writer] = split(std::move(*conn));
    StreamRecord& record = *network.records().front();
    Told told(env, "client");
    Batch batch(513);
    const std::uint64_t writes_before = record.writes;  // of the handshake
    auto sent = told.send(writer, batch, network.clock().in(patience));
    env.judge().check(sent.has_value() && record.writes == writes_before, "batch_limit",
                      "an empty batch did something");
    for (const std::size_t count : {std::size_t{1}, std::size_t{512}, std::size_t{513}}) {
      for (std::size_t i = 0; i < count; ++i)
        if (auto message = witness.make(network.buffers(), count == 1 ? body : i % 3))
          batch.push(std::move(*message));
      if (count <= batch_messages_max) witness.offered(batch);
      const std::uint64_t writes = record.writes;
      sent = told.send(writer, batch, network.clock().in(patience));
      if (count <= batch_messages_max) {
        if (!env.judge().check(sent.has_value(), "batch_limit", [&] {
              return "a batch of " + std::to_string(count) + " failed: " + to_string(sent.error());
            }))
          return true;
        continue;
      }
      env.judge().check(!sent && sent.error() == Errc::too_large && batch.size() == 513 &&
                            record.writes == writes,
                        "batch_limit", "a batch of 513 was not refused whole");
      env.judge().check(record.aborted || record.datagrams, "drop",
                        "a batch of 513 failed and the connection was not reset");
    }
    return true;
  }
};

}  // namespace twinwire::laws
