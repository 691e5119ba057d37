// SPDX-License-Identifier: Apache-2.0
// crowd: more peers at once than a listener holds, whose application comes late, or goes. What waits for it is bounded;
// the rest waits in the network, and whoever is answered is answered with what he asked.
#pragma once

#include <string>
#include <string_view>

#include "props/laws/env.h"
#include "props/laws/tap.h"
#include "props/laws/told.h"
#include "transport/seam.h"

namespace twinwire::laws {

struct Crowd {
  static constexpr std::string_view name = "crowd";
  static constexpr std::string_view summary =
      "more peers at once than a listener holds, and nobody accepts for a while";
  // Only a stream's network has a place where connections wait.
  template <class T>
  static constexpr bool runs_over = !over_datagrams<T>;

  template <Transport T>
  static void run(Env& env) {
    Run<T> run(env);
    run.all();
  }

 private:
  static constexpr std::size_t handshakes_max = 4;

  template <Transport T>
  class Run {
   public:
    explicit Run(Env& env)
        : env_(&env),
          server_(env.node("server"), env.judge(), env.origins()),
          // Longer than TCP waits for a peer that is silent, where time costs nothing.
          patience_(env.simulated() ? Duration(std::chrono::minutes(30))
                                    : Duration(std::chrono::seconds(10))),
          ready_max_(1 + env.draw(3)),
          backlog_(static_cast<int>(env.draw(4))),
          clients_(ready_max_ + handshakes_max + 2 + env.draw(6)),
          leaves_(env.draw(4) == 3),
          late_(std::chrono::microseconds(leaves_ ? env.draw(400) : 5000 * (1 + env.draw(300)))) {}

    void all() {
      run_scope(scheduler(), [&](Scope& background) {
        typename T::Options options = env_->listen_options<T>();
        options.accept.ready_max = ready_max_;
        options.accept.handshakes_max = handshakes_max;
        options.backlog = backlog_;
        auto listener = T::listen(server_, background, env_->bind_address("server"), options);
        if (!env_->listens(listener)) return;
        const Address address = listener->local();
        run_scope(scheduler(), [&](Scope& servers) {
          const FiberHandle serving =
              servers.spawn("server", [&, listens = std::move(*listener)]() mutable {
                serve(std::move(listens), servers);
              });
          run_scope(scheduler(), [&](Scope& clients) {
            for (std::size_t i = 0; i < clients_; ++i)
              clients.spawn("client" + std::to_string(i), [&, i] { visit(i, address); });
          });
          scheduler().cancel(serving);
        });
        background.cancel();
      });
    }

   private:
    Scheduler& scheduler() { return server_.scheduler(); }

    void serve(typename T::Listener listener, Scope& servers) {
      Told told(*env_, "server");
      told.does("does not accept yet");
      (void)scheduler().sleep_for(late_);
      const std::size_t bound = ready_max_ + handshakes_max + 1;
      env_->judge().check(server_.live_streams() <= bound, "accept", [&] {
        return std::to_string(server_.live_streams()) +
               " connections wait that nobody accepted; the bound is " + std::to_string(bound);
      });
      if (leaves_) return told.does("listens no more");
      for (;;) {
        auto accepted = listener.accept(Deadline::never());
        if (accepted) {
          servers.spawn("server.conn", [&, conn = std::move(accepted->first)]() mutable {
            answer(std::move(conn));
          });
          continue;
        }
        if (accepted.error() == Errc::canceled || accepted.error() == Errc::shutting_down) return;
        told.accept_failed(accepted.error());
      }
    }

    void answer(typename T::Conn conn) {
      auto [reader, writer] = split(std::move(conn));
      auto question = reader.read_message(default_max_message, server_.clock().in(patience_));
      if (!question) return;
      Batch batch(1);
      batch.push(std::move(*question));
      if (!writer.send_batch(batch, server_.clock().in(patience_))) return;
      (void)reader.read_message(default_max_message, server_.clock().in(patience_));
      (void)writer.close(std::chrono::seconds(5));
    }

    void visit(std::size_t i, const Address& server) {
      Network& network = env_->node("client");
      (void)scheduler().sleep_for(std::chrono::microseconds(env_->draw(200)));
      Told told(*env_, "client" + std::to_string(i));
      auto conn = T::dial(network, server, env_->dial_options<T>(), network.clock().in(patience_));
      if (!conn) return told.dial_failed(conn.error());
      auto [reader, writer] = split(std::move(*conn));
      auto question = MutableMessage::create(network.buffers(), Command::request, 0);
      if (!question) return;
      question->set_request_id(i);
      Batch batch(1);
      batch.push(std::move(*question).freeze());
      if (!told.send(writer, batch, network.clock().in(patience_))) return;
      auto reply = told.read(reader, default_max_message, network.clock().in(patience_));
      if (!reply) return;
      env_->judge().check(request_id(*reply) == i, "prefix", "a client got another one's answer");
      (void)told.close(writer, std::chrono::seconds(5));
    }

    Env* env_;
    TapNetwork server_;
    Duration patience_;
    std::size_t ready_max_;
    int backlog_;
    std::size_t clients_;
    bool leaves_;
    Duration late_;
  };
};

}  // namespace twinwire::laws
