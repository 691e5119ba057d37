// SPDX-License-Identifier: Apache-2.0
// requests: many requests at once over one connection, some answered late, some never, some given up early, and
// messages beside them. Each reply is the one to its request; what becomes of one request is no other's concern.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "props/laws/env.h"
#include "props/laws/limit_faults.h"
#include "props/laws/traits.h"
#include "props/laws/witness.h"
#include "transport/base/mix.h"
#include "transport/seam.h"

namespace twinwire::laws {

struct Requests {
  static constexpr std::string_view name = "requests";
  static constexpr std::string_view summary =
      "many requests at once, answered late or never, given up early, with messages beside them";
  template <class T>
  static constexpr bool runs_over = has_requests<T>;

  static void limit_faults(sim::FaultPlan& plan) { keep_connections(plan); }

  template <Transport T>
  static void run(Env& env) {
    Run<T> run(env);
    run.all();
  }

 private:
  static constexpr Duration patience = std::chrono::minutes(2);  // more than any fault lasts

  enum class Fate : std::uint8_t { answered, late, dropped };
  struct Plan {
    std::size_t request_body = 0;
    std::size_t reply_body = 0;
    Fate fate = Fate::answered;
    Duration delay{};            // before the reply
    bool hurried = false;        // the asker gives up before a late reply
    bool tight_maximum = false;  // the asker takes no more than the reply that it expects
  };

  template <Transport T>
  class Run {
   public:
    explicit Run(Env& env)
        : env_(&env),
          server_(&env.node("server")),
          client_(&env.node("client")),
          messages_(env.judge(), "messages beside the requests", mix(env.seed(), 1)) {
      const auto askers = static_cast<std::size_t>(std::clamp<std::int64_t>(
          env.shape("askers", static_cast<std::int64_t>(1 + env.draw(12)), 1), 1, 100));
      for (std::size_t i = 0; i < askers; ++i) {
        first_of_.push_back(plans_.size());
        for (std::size_t n = 1 + env.draw(6); n > 0; --n) plans_.push_back(draw_plan());
      }
      first_of_.push_back(plans_.size());
    }

    void all() {
      run_scope(scheduler(), [&](Scope& background) {
        typename T::Options options = env_->listen_options<T>();
        constexpr std::size_t windows[] = {1, 2, 7, 64};
        options.requests_window = windows[env_->draw(std::size(windows))];
        auto listener = T::listen(*server_, background, env_->bind_address("server"), options);
        if (!env_->listens(listener)) return;
        run_scope(scheduler(), [&](Scope& ends) {
          const FiberHandle serving = ends.spawn("server", [&] {
            auto accepted = listener->accept(Deadline::never());
            accepted_ = accepted.has_value();
            if (accepted_) serve(std::move(accepted->first));
          });
          ends.spawn("client", [&, serving] {
            auto conn = T::dial(*client_, listener->local(), env_->dial_options<T>(),
                                client_->clock().in(patience));
            if (conn) ask_all(std::move(*conn));
            if (accepted_) return;  // the server comes to its end by itself
            // The server's part of a handshake that failed was never accepted.
            (void)scheduler().sleep_for(patience);
            scheduler().cancel(serving);
          });
        });
        background.cancel();
      });
    }

   private:
    Scheduler& scheduler() { return server_->scheduler(); }
    Judge& judge() { return env_->judge(); }

    std::size_t draw_body() {
      constexpr std::size_t bounds[] = {1, 300, 3000, 40'000, 400'000};
      return env_->draw(bounds[std::min(env_->draw(5), env_->draw(5))]);
    }
    Plan draw_plan() {
      Plan plan;
      plan.request_body = draw_body();
      plan.reply_body = draw_body();
      const std::uint64_t kind = env_->draw(8);
      plan.fate = kind == 0 ? Fate::dropped : kind <= 2 ? Fate::late : Fate::answered;
      plan.hurried = plan.fate == Fate::late;
      plan.delay = std::chrono::microseconds(
          plan.fate == Fate::late ? 20'000 + env_->draw(80'000) : env_->draw(3) * env_->draw(5000));
      plan.tight_maximum = env_->draw(2) == 0;
      return plan;
    }

    // The reply to a request depends on its number alone, as the request does.
    Result<Message> reply_to(std::size_t id) {
      Witness maker(judge(), "replies", mix(env_->seed(), 100 + id));
      return maker.make(server_->buffers(), plans_[id].reply_body);
    }

    // --- Asking ------------------------------------------------------------------------------------------------------

    void ask_all(typename T::Conn conn) {
      auto [reader, writer] = split(std::move(conn));
      run_scope(scheduler(), [&](Scope& askers) {
        if (env_->shape("messages", 1) != 0)
          askers.spawn("messages", [&] { send_messages(writer); });
        for (std::size_t i = 0; i + 1 < first_of_.size(); ++i)
          askers.spawn("asker" + std::to_string(i), [&, i] {
            for (std::size_t id = first_of_[i]; id < first_of_[i + 1]; ++id)
              if (is_made(id)) ask(writer, id);
          });
      });
      (void)writer.close(patience);
    }

    // Each can be left out where the others do not matter, and they keep their numbers.
    bool is_made(std::size_t id) {
      return !env_->shaping() || env_->shape("request" + std::to_string(id), 1) != 0;
    }

    void send_messages(typename T::Writer& writer) {
      Batch batch(4);
      for (std::size_t n = env_->draw(6); n > 0; --n) {
        for (std::size_t i = 1 + env_->draw(4); i > 0; --i)
          if (auto message = messages_.make(client_->buffers(), draw_body()))
            batch.push(std::move(*message));
        messages_.offered(batch);
        if (!writer.send_batch(batch, client_->clock().in(patience))) return;
        messages_.succeeded();
      }
    }

    void ask(typename T::Writer& writer, std::size_t id) {
      const Plan& plan = plans_[id];
      auto request =
          MutableMessage::create(client_->buffers(), Command::request, plan.request_body);
      auto expected = reply_to(id);
      if (!request || !expected) return;
      request->set_request_id(id);
      std::ranges::fill(request->body(), static_cast<std::byte>(id));
      const Deadline deadline = client_->clock().in(plan.hurried ? plan.delay / 2 : patience);
      env_->tell("client", [&] {
        return "makes request " + std::to_string(id) + ": " + std::to_string(plan.request_body) +
               " bytes of body, a reply of " + std::to_string(plan.reply_body) +
               (plan.hurried ? "; gives up before the reply is sent" : "") +
               (plan.fate == Fate::dropped ? "; the server will drop it" : "");
      });
      auto reply =
          writer.request(std::move(*request).freeze(),
                         plan.tight_maximum ? expected->size() : default_max_message, deadline);
      env_->saw(Env::key_of("request"), id,
                reply ? 256 + reply->size() : static_cast<std::uint64_t>(reply.error().code));
      env_->tell("client", [&] {
        return "request " + std::to_string(id) + " " +
               (reply ? "is answered" : "ends: " + to_string(reply.error()));
      });
      judge().check(client_->clock().now() <= deadline.at + slack(), "deadline",
                    "a request returned after its deadline");
      if (reply) {
        judge().check(std::ranges::equal(reply->bytes(), expected->bytes()), "reply_matches", [&] {
          return "request " + std::to_string(id) + " got a reply that is not its own";
        });
        return;
      }
      const Error error = reply.error();
      // `broken`: no fault of datagrams that a swarm draws ends a connection, so one of the requests has.
      judge().check((error == Error{Errc::timed_out} && plan.hurried) ||
                        (error == Error{Errc::refused} && plan.fate == Fate::dropped),
                    error == Error{Errc::timed_out} ? "request_answered"
                    : error == Error{Errc::broken}  ? "request_alone"
                                                    : "errors",
                    [&] {
                      return "request " + std::to_string(id) + " ended with " + to_string(error) +
                             "; " +
                             (plan.fate == Fate::dropped ? "the peer drops it"
                              : plan.hurried             ? "it was given little time"
                                                         : "the peer answers it");
                    });
      if (error == Error{Errc::broken}) return;
      // A deadline that has passed: nothing is asked, and how the connection is comes back.
      const auto after =
          writer.request(*expected, default_max_message, client_->clock().in(Duration(0)));
      judge().check(!after && after.error() == Error{Errc::timed_out}, "request_alone", [&] {
        return "request " + std::to_string(id) + " ended with " + to_string(error) +
               ", and with it the connection";
      });
    }

    // --- Answering ---------------------------------------------------------------------------------------------------

    void serve(typename T::Conn conn) {
      auto halves = split(std::move(conn));
      run_scope(scheduler(), [&](Scope& scope) {
        scope.spawn("server.requests", [&] { answer_all(halves.first, scope); });
        for (;;) {
          auto message = halves.first.read_message(default_max_message, Deadline::never());
          if (!message) {
            judge().check(message.error() != Error{Errc::invalid}, "read_checks",
                          "an honest message was called invalid");
            break;
          }
          messages_.yielded(*message);
        }
        (void)halves.second.close(patience);
      });
    }

    void answer_all(typename T::Reader& reader, Scope& scope) {
      for (;;) {
        auto request = reader.next_request(default_max_message, Deadline::never());
        if (!request) {
          judge().check(request.error() != Error{Errc::invalid}, "read_checks",
                        "an honest request was called invalid");
          return;
        }
        const std::size_t id = request_id(request->message());
        const auto body = request->message().body();
        if (!judge().check(
                id < plans_.size() && body.size() == plans_[id].request_body &&
                    std::ranges::all_of(
                        body, [&](std::byte b) { return b == static_cast<std::byte>(id); }),
                "request_intact", "a request arrived that nobody made"))
          return;
        judge().check(seen_.insert(id).second, "request_once",
                      "request " + std::to_string(id) + " was yielded twice");
        scope.spawn("answer" + std::to_string(id),
                    [&, id, mine = std::move(*request)]() mutable { answer(std::move(mine), id); });
      }
    }

    template <class Request>
    void answer(Request request, std::size_t id) {
      const Plan& plan = plans_[id];
      (void)scheduler().sleep_for(plan.delay);
      if (plan.fate == Fate::dropped) {
        env_->tell("server", [&] { return "drops request " + std::to_string(id); });
        return;
      }
      env_->tell("server", [&] { return "replies to request " + std::to_string(id); });
      const auto reply = reply_to(id);
      if (!reply) return;
      const auto sent = request.reply(*reply, server_->clock().in(patience));
      if (sent) return;
      judge().check(sent.error() == Error{Errc::broken} || sent.error() == Error{Errc::closed} ||
                        (sent.error() == Error{Errc::refused} && plan.hurried),
                    sent.error() == Error{Errc::timed_out} ? "request_answered" : "errors", [&] {
                      return "the reply to request " + std::to_string(id) + " ended with " +
                             to_string(sent.error());
                    });
    }

    Duration slack() const {
      return env_->simulated() ? Duration(0) : Duration(std::chrono::seconds(2));
    }

    Env* env_;
    Network* server_;
    Network* client_;
    Witness messages_;
    std::vector<Plan> plans_;
    std::vector<std::size_t> first_of_;  // request of each asker
    std::set<std::size_t> seen_;
    bool accepted_ = false;
  };
};

}  // namespace twinwire::laws
