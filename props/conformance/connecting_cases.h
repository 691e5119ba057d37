// SPDX-License-Identifier: Apache-2.0
// Conformance of listening and dialling: clauses 10 and 11.
#pragma once

#include <algorithm>

#include "props/conformance/rig.h"

namespace twinwire::props {

template <Transport T>
struct ConnectingCases {
  static void dialling_where_nobody_listens_is_refused(Env& env) {
    Network& server = env.node("server");
    Network& client = env.node("client");
    Address nobody;
    run_scope(server.scheduler(), [&](Scope& background) {
      auto listener =
          T::listen(server, background, env.bind_address("server"), env.listen_options<T>());
      if (!expect(env, listener.has_value(), "a port can be had")) return;
      nobody = listener->local();
      background.cancel();
    });
    auto conn =
        T::dial(client, nobody, env.dial_options<T>(), client.clock().in(std::chrono::seconds(5)));
    // To an unconnected datagram socket nobody says that nobody listens.
    expect(env,
           !conn && (conn.error() == Errc::refused ||
                     (over_datagrams<T> && conn.error() == Errc::timed_out)),
           "the dial is refused");
  }

  static void accept_times_out_and_obeys_cancellation(Env& env) {
    Network& server = env.node("server");
    run_scope(server.scheduler(), [&](Scope& background) {
      auto listener =
          T::listen(server, background, env.bind_address("server"), env.listen_options<T>());
      if (!expect(env, listener.has_value(), "a port can be had")) return;
      auto accepted = listener->accept(server.clock().in(std::chrono::milliseconds(20)));
      expect(env, !accepted && accepted.error() == Errc::timed_out, "accept times out");
      Result<std::pair<typename T::Conn, Address>> canceled = Errc::timed_out;
      run_scope(server.scheduler(), [&](Scope& scope) {
        const FiberHandle accepting =
            scope.spawn("acceptor", [&] { canceled = listener->accept(Deadline::never()); });
        (void)server.scheduler().sleep_for(std::chrono::milliseconds(5));
        server.scheduler().cancel(accepting);
      });
      expect(env, !canceled && canceled.error() == Errc::canceled, "accept obeys cancellation");
      background.cancel();
    });
  }

  // Two fibers accept; the one that a connection woke is canceled in that instant. The other gets the connection.
  static void a_canceled_accept_leaves_its_connection_to_the_next(Env& env) {
    Network& server = env.node("server");
    Network& client = env.node("client");
    run_scope(server.scheduler(), [&](Scope& background) {
      auto listener =
          T::listen(server, background, env.bind_address("server"), env.listen_options<T>());
      if (!expect(env, listener.has_value(), "a port can be had")) return;
      for (const int delay : {50, 100, 150, 151}) {
        int accepted = 0;
        run_scope(server.scheduler(), [&](Scope& scope) {
          const auto accept_one = [&] {
            accepted +=
                listener->accept(server.clock().in(std::chrono::seconds(5))).has_value() ? 1 : 0;
          };
          const FiberHandle first = scope.spawn("first", accept_one);
          const FiberHandle second = scope.spawn("second", accept_one);
          scope.spawn("client", [&, second] {
            const TimePoint start = client.clock().now();
            auto conn = T::dial(client, listener->local(), env.dial_options<T>(),
                                client.clock().in(std::chrono::seconds(5)));
            // Over real sockets the listener's half of a handshake may come late, on a machine that is busy.
            const TimePoint patience = client.clock().now() + std::chrono::seconds(2);
            do (void)client.scheduler().sleep_for(std::chrono::milliseconds(20));
            while (accepted == 0 && client.clock().now() < patience);
            const Duration waited = client.clock().now() - start;
            expect(env, accepted == 1, "the connection was accepted");
            expect(env, waited < std::chrono::seconds(4), "at once");
            server.scheduler().cancel(second);
          });
          (void)server.scheduler().sleep_for(std::chrono::microseconds(delay));
          server.scheduler().cancel(first);
        });
      }
      background.cancel();
    });
  }

  static void two_listeners_cannot_have_one_port(Env& env) {
    Network& server = env.node("server");
    run_scope(server.scheduler(), [&](Scope& background) {
      auto first =
          T::listen(server, background, env.bind_address("server"), env.listen_options<T>());
      if (!expect(env, first.has_value(), "a port can be had")) return;
      auto second = T::listen(server, background, first->local(), env.listen_options<T>());
      expect(env, !second && second.error() == Errc::unreachable && second.error().os_errno != 0,
             "the second is told that the address is in use");
      background.cancel();
    });
  }

  // Many connections at once, each with an echo of its own.
  static void a_hundred_connections_are_served_at_once(Env& env) {
    Network& server = env.node("server");
    Network& client = env.node("client");
    int served = 0;
    run_scope(server.scheduler(), [&](Scope& background) {
      auto listener =
          T::listen(server, background, env.bind_address("server"), env.listen_options<T>());
      if (!expect(env, listener.has_value(), "a port can be had")) return;
      run_scope(server.scheduler(), [&](Scope& ends) {
        const FiberHandle accepting = ends.spawn("accept", [&] {
          for (;;) {
            auto accepted = listener->accept(Deadline::never());
            if (!accepted) return;
            ends.spawn("echo", [&, conn = std::move(accepted->first)]() mutable {
              echo(server, std::move(conn));
            });
          }
        });
        run_scope(server.scheduler(), [&](Scope& clients) {
          for (std::uint64_t i = 0; i < 100; ++i)
            clients.spawn("client",
                          [&, i] { served += ask(env, client, listener->local(), i) ? 1 : 0; });
        });
        server.scheduler().cancel(accepting);
      });
      background.cancel();
    });
    expect(env, served == 100, "every client got its own answers");
  }

 private:
  static void echo(Network& network, typename T::Conn conn) {
    auto [reader, writer] = split(std::move(conn));
    Batch batch(1);
    for (;;) {
      auto message = reader.read_message(any_size, network.clock().in(std::chrono::seconds(20)));
      if (!message) break;
      batch.push(std::move(*message));
      if (!writer.send_batch(batch, network.clock().in(std::chrono::seconds(20)))) return;
    }
    (void)writer.close(std::chrono::seconds(5));
  }

  static bool ask(Env& env, Network& network, const Address& server, std::uint64_t who) {
    auto conn = T::dial(network, server, env.dial_options<T>(),
                        network.clock().in(std::chrono::seconds(10)));
    if (!conn) return false;
    auto [reader, writer] = split(std::move(*conn));
    Batch batch(1);
    for (std::uint64_t i = 0; i < 10; ++i) {
      auto message = MutableMessage::create(network.buffers(), Command::request, 100 * i);
      if (!message) return false;
      message->set_request_id(1000 * who + i);
      std::ranges::fill(message->body(), static_cast<std::byte>(who));
      batch.push(std::move(*message).freeze());
      if (!writer.send_batch(batch, network.clock().in(std::chrono::seconds(20)))) return false;
      auto answer = reader.read_message(any_size, network.clock().in(std::chrono::seconds(20)));
      if (!answer || request_id(*answer) != 1000 * who + i) return false;
    }
    return writer.close(std::chrono::seconds(5)).has_value();
  }
};

}  // namespace twinwire::props
