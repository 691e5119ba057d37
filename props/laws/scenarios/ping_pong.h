// SPDX-License-Identifier: Apache-2.0
// ping_pong: one connection, each message sent after the echo of the one before. What `bench sim` measures.
#pragma once

#include <algorithm>
#include <string_view>

#include "props/laws/env.h"
#include "props/laws/told.h"
#include "transport/seam.h"

namespace twinwire::laws {

struct PingPong {
  static constexpr std::string_view name = "ping_pong";
  static constexpr std::string_view summary =
      "one connection, each message sent after the echo of the one before";

  template <Transport T>
  static void run(Env& env) {
    const auto rounds = static_cast<std::size_t>(env.knob("messages", 200, 1, 1'000'000));
    const auto size = static_cast<std::size_t>(env.knob("size", 256, header_size, 16 << 20));
    Network& server = env.node("server");
    Network& client = env.node("client");
    run_scope(server.scheduler(), [&](Scope& scope) {
      auto listener = T::listen(server, scope, env.bind_address("server"), env.listen_options<T>());
      if (!env.listens(listener)) return;
      const Address address = listener->local();
      run_scope(server.scheduler(), [&](Scope& ends) {
        const FiberHandle serving = ends.spawn("server", [&] {
          auto accepted = listener->accept(server.clock().in(accept_patience));
          if (accepted) echo<T>(env, server, std::move(accepted->first));
        });
        ends.spawn("client", [&, serving] {
          if (!ping<T>(env, client, address, rounds, size)) server.scheduler().cancel(serving);
        });
      });
      scope.cancel();
    });
  }

 private:
  // A dial may succeed and the server's part of the handshake fail.
  static constexpr Duration accept_patience = std::chrono::minutes(5);
  static constexpr Duration idle_limit = std::chrono::seconds(60);

  template <Transport T>
  static void echo(Env& env, Network& network, typename T::Conn conn) {
    auto [reader, writer] = split(std::move(conn));
    Told told(env, "server");
    Batch batch(1);
    for (;;) {
      auto message = told.read(reader, default_max_message, network.clock().in(idle_limit));
      if (!message) break;
      batch.push(std::move(*message));
      if (!told.send(writer, batch, network.clock().in(idle_limit))) return;
    }
    (void)told.close(writer, std::chrono::seconds(1));
  }

  template <Transport T>
  static bool ping(Env& env, Network& network, const Address& server, std::size_t rounds,
                   std::size_t size) {
    auto conn = T::dial(network, server, env.dial_options<T>(),
                        network.clock().in(std::chrono::seconds(5)));
    if (!conn) return false;
    auto [reader, writer] = split(std::move(*conn));
    Told told(env, "client");
    Batch batch(1);
    for (std::size_t i = 0; i < rounds; ++i) {
      auto message =
          MutableMessage::create(network.buffers(), Command::request, size - header_size);
      if (!message) return false;
      message->set_request_id(i);
      std::ranges::fill(message->body(), static_cast<std::byte>(i));
      batch.push(std::move(*message).freeze());
      const Deadline deadline = network.clock().in(idle_limit);
      if (!told.send(writer, batch, deadline)) return true;
      auto answer = told.read(reader, default_max_message, deadline);
      if (!answer) return true;
      env.judge().check(request_id(*answer) == i, "prefix", "an echo came out of turn");
    }
    (void)told.close(writer, std::chrono::seconds(1));
    return true;
  }
};

}  // namespace twinwire::laws
