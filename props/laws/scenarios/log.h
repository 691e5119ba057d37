// SPDX-License-Identifier: Apache-2.0
// log: a replicated log over three nodes or five, each with a bus and a disk, and clients over the transport that have
// their requests applied. Nodes crash, lose power and stand still, disks fail, nobody hears the other. Whatever a
// client was told stands on a majority, once, in order; and when the faults have ended, everything that clients want
// is done.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "props/laws/limit_faults.h"
#include "props/laws/log_cluster.h"
#include "sim/fault_plan.h"
#include "transport/bus/planes.h"
#include "transport/log/client.h"

namespace twinwire::laws {

struct ReplicatedLog {
  static constexpr std::string_view name = "log";
  static constexpr bool starts_nodes = true;
  static constexpr std::string_view summary =
      "clients of a replicated log, while nodes crash, lose power and do not hear each other";

  static void limit_faults(sim::FaultPlan& plan) {
    keep_buses_together(plan);
    // No fault may outlast the patience of the last law.
    keep_faults_short(plan, longest_fault);
  }

  template <Transport T>
  static void run(Env& env) {
    Run<T>(env).all();
  }

 private:
  static constexpr std::uint64_t longest_fault = 10'000'000'000;         // ns
  static constexpr Duration delivery_bound = std::chrono::seconds(120);  // after the last fault

  template <Transport T>
  class Run {
   public:
    explicit Run(Env& env)
        : env_(&env),
          cluster_(env,
                   [&env](bus::Bus& bus, const Address& address) {
                     return bus::open_client_plane<T>(bus, address, env.listen_options<T>());
                   }),
          clients_(shape("clients", 1 + env.draw(4), 1, 100)),
          requests_(shape("requests", 5 + env.draw(40), 1, 100'000)),
          pace_ns_(static_cast<std::uint64_t>(shape("pace_us", env.draw(60'000), 0, 4'000'000)) *
                   1000) {
      constexpr int limits_ms[] = {1000, 3000, 100, 2};
      answer_limit_ = std::chrono::milliseconds(limits_ms[env.draw(std::size(limits_ms))]);
    }

    void all() {
      const auto storm = shape("faults_end_ms", 500 + env_->draw(15'000), 0, 3'600'000);
      const TimePoint faults_end = cluster_.now() + std::chrono::milliseconds(storm);
      env_->end_faults_at(faults_end);
      until_ = faults_end + delivery_bound;
      for (std::size_t i = 0; i < clients_; ++i) (void)env_->node(name_of(i));
      run_scope(cluster_.scheduler(), [&](Scope& programs) {
        for (auto& node : cluster_.nodes)
          programs.spawn("run " + node->name, [&] { cluster_.run(*node); });
        run_scope(cluster_.scheduler(), [&](Scope& scope) {
          for (std::size_t i = 0; i < clients_; ++i)
            scope.spawn(name_of(i), [this, i] { work(i); });
        });
        // Clients may be through before the faults are.
        if (env_->simulated()) (void)cluster_.scheduler().sleep_until(faults_end);
        if (!env_->judge().verdict()) cluster_.await_caught_up(until_);
        for (auto& node : cluster_.nodes) node->stop.set();
      });
      if (!env_->judge().verdict()) cluster_.judge_end();
    }

   private:
    static std::string name_of(std::size_t client) { return "client" + std::to_string(client); }
    std::uint64_t shape(std::string_view knob, std::uint64_t drawn, std::int64_t low,
                        std::int64_t high) {
      const auto value = env_->shape(knob, static_cast<std::int64_t>(drawn), low);
      return static_cast<std::uint64_t>(std::clamp(value, low, high));
    }
    std::uint64_t key(std::size_t client, std::uint64_t number) const noexcept {
      return scramble(mix(env_->seed() ^ 0x106, client * 1'000'003 + number));
    }

    // One request after another, until the last is answered. Law: log_delivered.
    void work(std::size_t number) {
      const std::string who = name_of(number);
      if (!cluster_.all_listen.wait({until_}, "all nodes to listen")) return late(who, 0);
      log::ClientOptions limits;
      limits.answer_limit = answer_limit_;
      limits.connect_limit = 3 * cluster_.unit;
      limits.retry_every = cluster_.unit / 10;
      Network& network = env_->node(who);
      log::Client<T> client(network, *cluster_.nodes.front()->clients,
                            env_->template dial_options<T>(), limits);
      std::vector<std::byte> body;
      for (std::uint64_t n = 1; n <= requests_; ++n) {
        const std::uint64_t drawn = key(number, n);
        body.assign(LogBook::body_min + (drawn % 16 == 0 ? drawn / 16 % 6000 : drawn / 16 % 100),
                    static_cast<std::byte>(drawn));
        LogBook::label(body, number, n);
        auto answer = client.submit(body, {until_});
        while (!answer && answer.error() == Errc::no_resources && cluster_.now() < until_ &&
               cluster_.scheduler().sleep_for(std::chrono::milliseconds(5)))
          answer = client.in_doubt() ? client.resume({until_}) : client.submit(body, {until_});
        if (!answer && answer.error() == Errc::timed_out) return late(who, n - 1);
        if (!answer && answer.error() == Errc::refused && cluster_.forgets_sessions()) {
          env_->tell(who, [] { return std::string("is forgotten by the log, and begins anew"); });
          client.forget();  // whether it was applied nobody can say; not twice, say the laws
          continue;
        }
        if (!env_->judge().check(answer.has_value(), "log_answer", [&] {
              return who + " is refused its request " + std::to_string(n) + ": " +
                     to_string(answer.error());
            }))
          return;
        cluster_.book->answered(who, body, answer->op, answer->body());
        env_->tell(who, [&] {
          return "is told that its request " + std::to_string(n) + " is entry " +
                 std::to_string(answer->op);
        });
        if (pace_ns_ != 0)
          (void)cluster_.scheduler().sleep_for(
              Duration(static_cast<std::int64_t>(drawn % pace_ns_)));
      }
      client.close(cluster_.unit);
    }

    void late(const std::string& who, std::uint64_t answered) {
      env_->judge().violate(
          "log_delivered", "long after the last fault only " + std::to_string(answered) + " of " +
                               std::to_string(requests_) + " requests of " + who + " are answered");
    }

    Env* env_;
    LogCluster cluster_;
    std::size_t clients_;
    std::uint64_t requests_;
    std::uint64_t pace_ns_;
    Duration answer_limit_{};
    TimePoint until_;
  };
};

}  // namespace twinwire::laws
