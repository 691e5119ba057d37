// SPDX-License-Identifier: Apache-2.0
// recovery: a listener and its clients in a storm, without a single deadline of their own; then the faults end.
// Whatever was pending ends within a bound, and whoever comes now is served at once. A slot, a permit or a fiber that
// the storm has cost shows here.
#pragma once

#include <algorithm>
#include <string>

#include "props/laws/env.h"
#include "props/laws/pending.h"
#include "props/laws/told.h"
#include "sim/fault_plan.h"
#include "transport/seam.h"

namespace twinwire::laws {

struct Recovery {
  static constexpr std::string_view name = "recovery";
  static constexpr std::string_view summary =
      "after the last fault all that is pending ends, and newcomers are served at once";

  static void limit_faults(sim::FaultPlan& plan) {
    // A peer that is gone without a word keeps a reader of TCP waiting for ever: only a deadline, or pings, would tell.
    for (const sim::Site site : {sim::Site::silent_loss, sim::Site::reset_one_side}) plan.off(site);
    // Drawn once, for as long as the listener lives: it is no fault that ends.
    plan.off(sim::Site::short_backlog);
    if (plan.calm == TimePoint::never()) plan.calm = TimePoint{5'000'000'000};
  }

  template <Transport T>
  static void run(Env& env) {
    Run<T>(env).all();
  }

 private:
  // A connect that lost its last SYN but one waits 64 s for the next, and the handshake's own limit is 10 s.
  static constexpr Duration bound = std::chrono::seconds(130);
  // Of unfinished handshakes: few, so that one that is lost is missed.
  static constexpr std::size_t slots = 4;
  // A newcomer's handshake and echoes, over a path of 100 µs.
  static constexpr Duration prompt = std::chrono::seconds(1);

  template <Transport T>
  class Run {
   public:
    explicit Run(Env& env)
        : env_(&env),
          server_(&env.node("server")),
          pending_(env.judge(), server_->clock(), env.calm(), bound) {}

    void all() {
      run_scope(scheduler(), [&](Scope& background) {
        auto options = env_->listen_options<T>();
        options.accept.handshakes_max = slots;
        auto listener = T::listen(*server_, background, env_->bind_address("server"), options);
        if (!env_->listens(listener)) return;
        const Address address = listener->local();
        run_scope(scheduler(), [&](Scope& servers) {
          servers.spawn("server.accept", [&] { accept_all(*listener, servers); });
          run_scope(scheduler(), [&](Scope& clients) {
            const std::size_t count = 1 + env_->draw(5);
            for (std::size_t i = 0; i < count; ++i)
              clients.spawn("client" + std::to_string(i),
                            [this, i, address] { storm(i, address, env_->draw(1U << 30)); });
            (void)scheduler().sleep_until({env_->calm() + bound});
            pending_.judge_late();
            clients.cancel();
          });
          newcomers(address);
          servers.cancel();
        });
        background.cancel();
      });
    }

   private:
    Scheduler& scheduler() { return server_->scheduler(); }

    // --- In the storm ----------------------------------------------------------------------------------------------

    void storm(std::size_t number, const Address& address, std::uint64_t key) {
      const std::string who = "client" + std::to_string(number);
      Network& network = env_->node(who);
      const auto draw = [&key](std::uint64_t below) {
        key = scramble(key + 0x9e3779b97f4a7c15ULL);
        return key % below;
      };
      for (std::size_t tries = 1 + draw(6); tries > 0 && !scheduler().cancel_pending(); --tries) {
        if (draw(4) == 0) {
          const Duration patience(static_cast<std::int64_t>(1 + draw(100'000'000)));
          run_scope(scheduler(), [&](Scope& hurried) {
            hurried.spawn(who + ".hurried", [&] { visit(network, who, address, draw(8), false); });
            (void)scheduler().sleep_for(patience);
            hurried.cancel();
          });
        } else {
          visit(network, who, address, draw(8), draw(2) == 0);
        }
        const Duration rest = env_->calm() - TimePoint{0};
        (void)scheduler().sleep_for(Duration(
            static_cast<std::int64_t>(draw(static_cast<std::uint64_t>(rest.count()) / 4 + 1))));
      }
    }

    void visit(Network& network, const std::string& who, const Address& address, std::size_t echoes,
               bool says_goodbye) {
      auto conn = pending_.run(who, "dial", [&] {
        return T::dial(network, address, env_->dial_options<T>(), Deadline::never());
      });
      Told told(*env_, who);
      if (!conn) {
        told.dial_failed(conn.error());
        return;
      }
      auto [reader, writer] = split(std::move(*conn));
      for (std::size_t i = 0; i < echoes; ++i)
        if (!echo(network, who, told, reader, writer, i, 100 + 997 * i, Deadline::never())) return;
      if (says_goodbye)
        (void)pending_.run(who, "close",
                           [&] { return told.close(writer, std::chrono::seconds(10)); });
    }

    bool echo(Network& network, const std::string& who, Told& told, typename T::Reader& reader,
              typename T::Writer& writer, std::size_t id, std::size_t body, Deadline deadline) {
      auto message = MutableMessage::create(network.buffers(), Command::request, body);
      if (!message) return false;
      message->set_request_id(id);
      std::ranges::fill(message->body(), static_cast<std::byte>(id));
      Batch batch(1);
      batch.push(std::move(*message).freeze());
      if (!pending_.run(who, "send_batch", [&] { return told.send(writer, batch, deadline); }))
        return false;
      const auto answer = pending_.run(
          who, "read_message", [&] { return told.read(reader, default_max_message, deadline); });
      return answer &&
             env_->judge().check(request_id(*answer) == id, "prefix", who + ": an echo of another");
    }

    // --- The server ------------------------------------------------------------------------------------------------

    void accept_all(typename T::Listener& listener, Scope& servers) {
      for (;;) {
        auto accepted = listener.accept(Deadline::never());
        if (accepted) {
          servers.spawn("server.conn", [this, conn = std::move(accepted->first)]() mutable {
            serve(std::move(conn));
          });
          continue;
        }
        if (accepted.error() == Errc::canceled || accepted.error() == Errc::shutting_down) return;
        (void)scheduler().sleep_for(std::chrono::milliseconds(1));
      }
    }

    void serve(typename T::Conn conn) {
      auto [reader, writer] = split(std::move(conn));
      Told told(*env_, "server");
      Batch batch(1);
      for (;;) {
        auto message = pending_.run("server", "read_message", [&] {
          return told.read(reader, default_max_message, Deadline::never());
        });
        if (!message && message.error() == Errc::no_resources) {
          if (!scheduler().sleep_for(std::chrono::milliseconds(1))) return;
          continue;
        }
        if (!message) break;
        batch.push(std::move(*message));
        if (!pending_.run("server", "send_batch",
                          [&] { return told.send(writer, batch, Deadline::never()); }))
          return;
      }
      (void)pending_.run("server", "close",
                         [&] { return told.close(writer, std::chrono::seconds(10)); });
    }

    // --- After it --------------------------------------------------------------------------------------------------

    // Several at a time, twice: as many as there are slots for handshakes.
    void newcomers(const Address& address) {
      Network& network = env_->node("newcomer");
      for (int crowd = 0; crowd < 2; ++crowd)
        run_scope(scheduler(), [&](Scope& scope) {
          for (std::size_t i = 0; i < slots; ++i)
            scope.spawn("newcomer" + std::to_string(i), [&, i] {
              const std::string failed =
                  newcomer(network, address, {network.clock().now() + prompt});
              env_->judge().check(failed.empty(), "recovery", [&] {
                return "newcomer " + std::to_string(i) + ", long after the last fault: " + failed;
              });
            });
        });
    }

    // What failed, if anything did.
    std::string newcomer(Network& network, const Address& address, Deadline deadline) {
      auto conn = T::dial(network, address, env_->dial_options<T>(), deadline);
      if (!conn) return "dial failed, " + to_string(conn.error());
      auto [reader, writer] = split(std::move(*conn));
      Told told(*env_, "newcomer");
      for (std::size_t i = 0; i < 3; ++i)
        if (!echo(network, "newcomer", told, reader, writer, i, 1000, deadline))
          return "echo " + std::to_string(i + 1) + " failed";
      const auto closed = told.close(writer, prompt);
      return closed ? "" : "close failed, " + to_string(closed.error());
    }

    Env* env_;
    Network* server_;
    Pending pending_;
  };
};

}  // namespace twinwire::laws
