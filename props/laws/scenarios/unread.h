// SPDX-License-Identifier: Apache-2.0
// unread: a peer that sends much while nobody reads. What piles up on this side is bounded, and the sender feels it.
#pragma once

#include <string>

#include "props/laws/env.h"
#include "props/laws/tap.h"
#include "props/laws/told.h"
#include "props/laws/witness.h"
#include "transport/seam.h"

namespace twinwire::laws {

struct Unread {
  static constexpr std::string_view name = "unread";
  static constexpr std::string_view summary =
      "a peer that sends while nobody reads; memory is bounded";

  template <Transport T>
  static void run(Env& env) {
    TapNetwork server(env.node("server"), env.judge(), env.origins());
    Network& client = env.node("client");
    Witness witness(env.judge(), "unread", env.seed());
    run_scope(server.scheduler(), [&](Scope& background) {
      auto listener =
          T::listen(server, background, env.bind_address("server"), env.listen_options<T>());
      if (!env.listens(listener)) return;
      run_scope(server.scheduler(), [&](Scope& ends) {
        const FiberHandle serving = ends.spawn("server", [&] {
          auto accepted = listener->accept(server.clock().in(accept_patience));
          if (accepted)
            read_late<T>(env, server, std::move(accepted->first), accepted->second, witness);
        });
        ends.spawn("client", [&, serving] {
          if (!send_much<T>(env, client, listener->local(), witness))
            server.scheduler().cancel(serving);
        });
      });
      background.cancel();
    });
  }

 private:
  // A dial may succeed and the server's part of the handshake fail.
  static constexpr Duration accept_patience = std::chrono::minutes(5);
  static constexpr Duration send_patience = std::chrono::seconds(40);
  static constexpr std::size_t waiting_max = 512 * 1024;  // of bytes that nobody asked for
  static constexpr std::size_t batches = 10;

  template <Transport T>
  static bool send_much(Env& env, Network& network, const Address& server, Witness& witness) {
    auto conn = T::dial(network, server, env.dial_options<T>(),
                        network.clock().in(std::chrono::seconds(20)));
    if (!conn) return false;
    auto [reader, writer] = split(std::move(*conn));
    Told told(env, "client");
    Batch batch(8);
    for (std::size_t i = 0; i < batches; ++i) {
      for (int n = 0; n < 5; ++n)
        if (auto message = witness.make(network.buffers(), 30'000)) batch.push(std::move(*message));
      witness.offered(batch);
      if (!told.send(writer, batch, network.clock().in(send_patience))) return true;
      witness.succeeded();
    }
    (void)told.close(writer, send_patience);
    return true;
  }

  template <Transport T>
  static void read_late(Env& env, TapNetwork& network, typename T::Conn conn, const Address& peer,
                        Witness& witness) {
    auto [reader, writer] = split(std::move(conn));
    const auto record = network.record_of(peer);
    Told told(env, "server");
    told.does("does not read for 20 s");
    (void)network.scheduler().sleep_for(std::chrono::seconds(20));
    // What a datagram repeats is no more in memory for it; but there the sender's bytes are behind no socket's buffers:
    // nothing is accepted beyond what this side allowed, so all that piles up is counted, and headers are not.
    if constexpr (over_datagrams<T>)
      env.judge().check(witness.accepted_bytes() <= waiting_max, "backpressure", [&] {
        return std::to_string(witness.accepted_bytes()) + " bytes were accepted, and nobody reads";
      });
    else if (record != nullptr)
      env.judge().check(record->received <= waiting_max, "backpressure", [&] {
        return std::to_string(record->received) +
               " bytes were taken from the network, and nobody reads";
      });
    env.judge().check(witness.accepted_count() < 5 * batches, "backpressure",
                      "the sender felt nothing of a peer that does not read");
    for (;;) {
      auto message =
          told.read(reader, default_max_message, network.clock().in(std::chrono::seconds(60)));
      if (!message) {
        if (message.error() == Error{Errc::closed})
          (void)told.close(writer, std::chrono::seconds(5));
        return;
      }
      witness.yielded(*message);
    }
  }
};

}  // namespace twinwire::laws
