// SPDX-License-Identifier: Apache-2.0
// operations: every call of the message seam, each in a fiber of its own, so that each can be told to stop at each of
// its suspensions (the fault `cancel`), or find no memory. What it costs is bounded: the call, or its connection; the
// others go on, and the listener serves whoever comes afterwards. What `exhaust` goes through.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "props/laws/harm.h"
#include "props/laws/operation_side.h"
#include "props/laws/registry.h"
#include "props/laws/tap.h"
#include "props/laws/traits.h"
#include "sim/fault_plan.h"
#include "transport/seam.h"

namespace twinwire::laws {

struct Operations {
  static constexpr std::string_view name = "operations";
  static constexpr std::string_view summary =
      "every call in a fiber of its own; one that is told to stop costs itself or its connection";

  // Nothing that could fail a call by itself: each failure is to be held against what was done.
  static void limit_faults(sim::FaultPlan& plan) {
    using sim::Site;
    const sim::FaultPlan all = plan;
    plan = sim::FaultPlan::none();
    for (const Site site : {Site::wake_order, Site::connect_delay, Site::short_write,
                            Site::short_read, Site::segment_delay, Site::cancel})
      plan[site] = all[site];
  }

  template <Transport T>
  static void run(Env& env) {
    Run<T> run(env);
    run.all();
  }

 private:
  struct Visit {
    BatchBodies up;
    BatchBodies down;
  };
  // Batches of small messages; one that takes many writes; one whose messages begin and end everywhere in them.
  static Visit thorough() {
    return {{{300, 1, 700}, {40'000}, std::vector<std::uint32_t>(12, 700)},
            {{400, 400}, {500, 30'000}}};
  }
  static Visit brief() { return {{{100}}, {{200}}}; }

  template <Transport T>
  class Run {
   public:
    explicit Run(Env& env)
        : env_(&env),
          harm_(env.judge(), static_cast<std::size_t>(env.knob("allowance", 0, 0, 1000))),
          server_(env.node("server"), env.judge(), env.origins()),
          first_message_(env.knob("accept_after_first_message", 0, 0, 1) != 0) {}

    void all() {
      run_scope(scheduler(), [&](Scope& background) {
        auto listener = T::listen(server_, background, env_->bind_address("server"),
                                  with_limits(env_->listen_options<T>()));
        if (!listener && harm_.expects_shortage()) return;
        if (!env_->listens(listener)) return;
        run_scope(scheduler(), [&](Scope& servers) {
          const FiberHandle accepting =
              servers.spawn("server.accepting", [&] { accept_all(*listener, servers); });
          run_scope(scheduler(), [&](Scope& clients) {
            clients.spawn("client", [&] { visit("client", thorough(), listener->local()); });
            clients.spawn("neighbour", [&] { visit("neighbour", brief(), listener->local()); });
          });
          perform(scheduler(), "after", [&] { visit("after", brief(), listener->local()); });
          over_ = true;
          scheduler().cancel(accepting);
        });
        background.cancel();
      });
      // A drop never suspends: the packet that tells of it leaves with the pump's next turn, perhaps still to come.
      if constexpr (over_datagrams<T>) (void)scheduler().sleep_for(std::chrono::milliseconds(1));
      harm_.judge_all(over_datagrams<T>);
      env_->went(harm_.outcome());
    }

   private:
    static constexpr int visits_max = 6;

    Scheduler& scheduler() { return server_.scheduler(); }
    bool told() { return scheduler().cancel_pending(); }

    // Small buffers, so that everything that can suspend does.
    typename T::Options with_limits(typename T::Options options) const {
      options.stream.send_buffer = 8 * 1024;
      options.stream.receive_buffer = 8 * 1024;
      options.accept_after_first_message = first_message_;
      if constexpr (has_requests<T>) options.requests_window = 4;
      if constexpr (requires { options.ping_interval; }) {
        options.ping_interval = std::chrono::milliseconds(2);
        options.ping_timeout = std::chrono::minutes(10);
      }
      return options;
    }

    // --- The client's side ---------------------------------------------------------------------------------------

    // Until one visit was not disturbed.
    void visit(const std::string& who, const Visit& visit, const Address& server) {
      for (int tries = 0; tries < visits_max && !told(); ++tries) {
        Attempt& attempt = harm_.begin(who, false);
        TapNetwork network(env_->node(who), env_->judge(), env_->origins());
        if (visit_once(who, visit, server, network, attempt)) return;
        (void)scheduler().sleep_for(std::chrono::milliseconds(5));
      }
    }

    bool visit_once(const std::string& who, const Visit& visit, const Address& server,
                    TapNetwork& network, Attempt& attempt) {
      Result<typename T::Conn> conn = Errc::canceled;
      const bool dial_told = perform(scheduler(), who + ".dial", [&] {
        conn = T::dial(network, server, with_limits(env_->dial_options<T>()),
                       network.clock().in(call_limit));
        if (!conn && told()) attempt.harmed = true;
      });
      if (told()) {
        attempt.harmed = true;
        return false;
      }
      if (!conn) {
        harm_.failed(&attempt, "dial", conn.error(), dial_told);
        if constexpr (!over_datagrams<T>)
          env_->judge().check(network.live_streams() == 0, "leak",
                              who + ": a dial that failed left a stream behind");
        return false;
      }
      attempt.dialed = true;
      OperationSide<T> side(*env_, network, std::move(*conn), who, true);
      side.run(harm_, attempt, network.records().front(), visit.up, visit.down);
      return attempt.closed[0];
    }

    // --- The server's side ---------------------------------------------------------------------------------------

    void accept_all(typename T::Listener& listener, Scope& servers) {
      for (;;) {
        Result<std::pair<typename T::Conn, Address>> accepted = Errc::canceled;
        const bool accept_told = perform(scheduler(), "server.accept",
                                         [&] { accepted = listener.accept(Deadline::never()); });
        if (told()) {
          if (!over_) harm_.server_goes();
          return;
        }
        if (!accepted) {
          harm_.accept_failed(accepted.error(), accept_told);
          if (harm_.server_gone()) return;
          continue;
        }
        servers.spawn("server.conn",
                      [&, conn = std::move(accepted->first), peer = accepted->second]() mutable {
                        serve(std::move(conn), peer);
                      });
      }
    }

    void serve(typename T::Conn conn, const Address& peer) {
      OperationSide<T> side(*env_, server_, std::move(conn), "server", false);
      Attempt* attempt = side.learn(harm_);
      if (attempt == nullptr) return;
      const bool is_client = attempt->label.starts_with("client");
      const Visit visit = is_client ? thorough() : brief();
      side.run(harm_, *attempt, server_.record_of(peer), visit.down, visit.up);
    }

    Env* env_;
    Harm harm_;
    TapNetwork server_;
    bool first_message_;
    bool over_ = false;
  };
};

}  // namespace twinwire::laws
