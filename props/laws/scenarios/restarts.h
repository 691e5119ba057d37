// SPDX-License-Identifier: Apache-2.0
// restarts: clients append to a log that a server keeps on its disk, over nodes that crash, lose power, stand still and
// do not hear each other. What was acknowledged is there, once, in order; and when the faults have ended, all is.
//
// The protocol: a client says who it is and is told how many of its messages are synced. From there on it sends; the
// server appends what is new, syncs, and says again how many are synced. Whoever is in doubt connects anew.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "props/laws/durable_log.h"
#include "props/laws/env.h"
#include "props/laws/limit_faults.h"
#include "props/laws/told.h"
#include "sim/fault_plan.h"
#include "transport/seam.h"

namespace twinwire::laws {

struct Restarts {
  static constexpr std::string_view name = "restarts";
  static constexpr bool starts_nodes = true;
  static constexpr std::string_view summary =
      "clients append to a server's log, while nodes crash, lose power and stand still";

  // No fault may outlast the patience that the last law has.
  static void limit_faults(sim::FaultPlan& plan) { keep_faults_short(plan, longest_fault); }

  template <Transport T>
  static void run(Env& env) {
    Run<T> run(env);
    run.all();
  }

 private:
  static constexpr std::uint64_t longest_fault = 10'000'000'000;  // ns
  static constexpr Duration dial_patience = std::chrono::seconds(3);
  static constexpr Duration idle_limit = std::chrono::seconds(5);
  static constexpr Duration server_idle_limit = std::chrono::seconds(30);
  static constexpr Duration delivery_bound = std::chrono::seconds(120);  // after the last fault
  static constexpr std::size_t window = 16;

  template <Transport T>
  class Run {
   public:
    explicit Run(Env& env)
        : env_(&env),
          clients_(knob("clients", 1 + env.draw(3), 1, 20)),
          messages_(knob("messages", 10 + env.draw(90), 1, 100'000)),
          pace_ns_(knob("pace_us", 1000 + env.draw(60'000), 0, 4'000'000) * 1000),
          faults_end_(knob("faults_end_ms", 1000 + env.draw(20'000), 0, 3'600'000) * 1'000'000),
          // 1: the server says that it has synced before it has, for the test of the law.
          early_(env.knob("acknowledge_early", 0, 0, 1) != 0),
          scheduler_(&env.node("server").scheduler()),
          log_(env.judge(), env.disk("server"), clients_),
          listens_(*scheduler_) {}

    void all() {
      for (std::size_t i = 0; i < clients_; ++i) (void)env_->node(name_of(i));
      env_->end_faults_at(TimePoint{env_->node("server").clock().now().ns + faults_end_});
      run_scope(*scheduler_, [&](Scope& servers) {
        const FiberHandle server = servers.spawn("run server", [&] {
          env_->run_node("server",
                         [&](Network& network, sim::Disk::File disk) { serve(network, disk); });
        });
        run_scope(*scheduler_, [&](Scope& clients) {
          for (std::size_t i = 0; i < clients_; ++i)
            clients.spawn("run " + name_of(i), [&, i] {
              env_->run_node(name_of(i), [&](Network& network, sim::Disk::File) {
                if (!Client(*this, network, i).deliver()) return;
                env_->tell(name_of(i), [] { return std::string("has everything acknowledged"); });
              });
            });
        });
        scheduler_->cancel(server);
      });
      log_.check_complete(messages_);
    }

   private:
    std::uint64_t knob(std::string_view knob_name, std::uint64_t drawn, std::int64_t low,
                       std::int64_t high) {
      const auto value = env_->shape(knob_name, static_cast<std::int64_t>(drawn), low);
      return static_cast<std::uint64_t>(std::clamp(value, low, high));
    }
    static std::string name_of(std::size_t client) { return "client" + std::to_string(client); }
    std::uint64_t key(std::size_t client, std::uint64_t number) const noexcept {
      return scramble(mix(env_->seed() ^ 0x1095, client * 1'000'003 + number));
    }
    std::size_t body_of(std::size_t client, std::uint64_t number) const noexcept {
      return key(client, number) % 8 == 0 ? key(client, number) / 8 % 6000
                                          : key(client, number) / 8 % 200;
    }
    // {client, number} is in the header; the body depends on both.
    Result<Message> message(Network& network, Command command, std::size_t client,
                            std::uint64_t number, std::size_t body) {
      auto made = MutableMessage::create(network.buffers(), command, body);
      if (!made) return made.error();
      made->set_cluster({client, number});
      std::ranges::fill(made->body(), static_cast<std::byte>(key(client, number)));
      return std::move(*made).freeze();
    }
    template <class Writer>
    Result<void> send(Network& network, Writer& writer, Result<Message> made) {
      if (!made) return made.error();
      Batch batch(1);
      batch.push(std::move(*made));
      return writer.send_batch(batch, network.clock().in(idle_limit));
    }

    // --- The server --------------------------------------------------------------------------------------------------

    void serve(Network& network, sim::Disk::File disk) {
      log_.check_recovered();
      Server server(*this, network, disk);
      server.serve();
    }

    class Server {
     public:
      Server(Run& run, Network& network, sim::Disk::File disk)
          : run_(&run), network_(&network), disk_(disk), applied_(log_of(disk, run.clients_)) {
        synced_ = applied_;
      }

      void serve() {
        Scheduler& scheduler = network_->scheduler();
        run_scope(scheduler, [&](Scope& background) {
          const auto options = run_->env_->template listen_options<T>();
          Result<typename T::Listener> listener = Errc::closed;
          while (!listener) {
            listener =
                T::listen(*network_, background,
                          run_->address_.value_or(run_->env_->bind_address("server")), options);
            if (!listener && !scheduler.sleep_for(std::chrono::milliseconds(100))) return;
          }
          run_->address_ = listener->local();
          run_->listens_.set();
          run_scope(scheduler, [&](Scope& connections) { accept_all(*listener, connections); });
          background.cancel();
        });
      }

     private:
      static std::vector<std::uint64_t> log_of(const sim::Disk::File& disk, std::size_t clients) {
        std::vector<std::uint64_t> counts(clients);
        for (const std::string& record : disk.records()) ++counts[DurableLog::parse(record).first];
        return counts;
      }

      void accept_all(typename T::Listener& listener, Scope& connections) {
        for (;;) {
          auto accepted = listener.accept(Deadline::never());
          if (accepted) {
            connections.spawn("server.conn", [this, conn = std::move(accepted->first)]() mutable {
              serve_one(std::move(conn));
            });
            continue;
          }
          if (accepted.error() == Errc::canceled || accepted.error() == Errc::shutting_down) return;
          if (!network_->scheduler().sleep_for(std::chrono::milliseconds(10))) return;
        }
      }

      void serve_one(typename T::Conn conn) {
        auto [reader, writer] = split(std::move(conn));
        const auto hello = next(reader);
        if (!hello) return;
        const auto client = static_cast<std::size_t>(hello->header().cluster().low);
        if (!run_->env_->judge().check(client < run_->clients_, "prefix",
                                       "the server read a greeting that no client sent"))
          return;
        Event news(network_->scheduler());
        news.set();  // the answer to its hello
        bool over = false;
        run_scope(network_->scheduler(), [&](Scope& scope) {
          scope.spawn("server.sync", [&] { sync_and_tell(client, writer, news, over); });
          while (const auto message = next(reader)) {
            if (!apply(client, *message)) break;
            news.set();
          }
          over = true;
          news.set();
        });
        (void)writer.close(std::chrono::seconds(1));
      }

      template <class Reader>
      Result<Message> next(Reader& reader) {
        return reader.read_message(default_max_message, network_->clock().in(server_idle_limit));
      }

      bool apply(std::size_t client, const Message& message) {
        const U128 id = message.header().cluster();
        Judge& judge = run_->env_->judge();
        judge.check(id.low == client && message.body().size() == run_->body_of(client, id.high) &&
                        std::ranges::all_of(message.body(),
                                            [&](std::byte b) {
                                              return b == static_cast<std::byte>(
                                                              run_->key(client, id.high));
                                            }),
                    "prefix", "the server read what no client sent");
        // It knows what is synced, and goes on from there: so nothing is ever missing before it.
        if (!judge.check(id.high <= applied_[client], "log_order", [&] {
              return "message " + std::to_string(id.high) + " of client " + std::to_string(client) +
                     " came when the log had " + std::to_string(applied_[client]);
            }))
          return false;
        if (id.high < applied_[client]) return true;  // sent again; it is there
        if (!disk_.append(DurableLog::record(client, id.high))) return false;
        ++applied_[client];
        return true;
      }

      void sync_and_tell(std::size_t client, typename T::Writer& writer, Event& news,
                         const bool& over) {
        while (news.wait(Deadline::never()) && !over) {
          news.reset();
          const std::uint64_t applied = applied_[client];
          if (!run_->early_ && !disk_.sync(network_->scheduler())) return;
          synced_[client] = std::max(synced_[client], applied);
          if (!run_->send(*network_, writer,
                          run_->message(*network_, Command::pong, client, synced_[client], 0)))
            return;
          if (run_->early_ && !disk_.sync(network_->scheduler())) return;
        }
      }

      Run* run_;
      Network* network_;
      sim::Disk::File disk_;
      std::vector<std::uint64_t> applied_;  // of each client, in the log
      std::vector<std::uint64_t> synced_;
    };

    // --- A client ----------------------------------------------------------------------------------------------------

    class Client {
     public:
      Client(Run& run, Network& network, std::size_t number)
          : run_(&run), network_(&network), number_(number) {}

      // Whether everything was acknowledged.
      bool deliver() {
        Scheduler& scheduler = network_->scheduler();
        if (!run_->listens_.wait(Deadline::never(), "the server's address")) return false;
        while (acknowledged_ < run_->messages_) {
          if (scheduler.cancel_pending() || !run_->in_time(number_, acknowledged_)) return false;
          auto conn = T::dial(*network_, *run_->address_, run_->env_->template dial_options<T>(),
                              network_->clock().in(dial_patience));
          if (conn) {
            talk(std::move(*conn));
          } else {
            Told(*run_->env_, name_of(number_)).dial_failed(conn.error());
          }
          if (acknowledged_ < run_->messages_ &&
              !scheduler.sleep_for(std::chrono::milliseconds(50)))
            return false;
        }
        return true;
      }

     private:
      void talk(typename T::Conn conn) {
        auto [reader, writer] = split(std::move(conn));
        if (!run_->send(*network_, writer, run_->message(*network_, Command::ping, number_, 0, 0)))
          return;
        if (!hear(reader)) return;
        Event room(network_->scheduler());
        bool over = false;
        run_scope(network_->scheduler(), [&](Scope& scope) {
          scope.spawn(name_of(number_) + ".acks", [&] {
            while (acknowledged_ < run_->messages_ && hear(reader)) room.set();
            over = true;
            room.set();
          });
          send_all(writer, room, over);
        });
        (void)writer.close(std::chrono::seconds(1));
      }

      // How many are synced, says the server.
      template <class Reader>
      bool hear(Reader& reader) {
        const auto message =
            reader.read_message(default_max_message, network_->clock().in(idle_limit));
        if (!message) return false;
        const std::uint64_t count = message->header().cluster().high;
        acknowledged_ = std::max(acknowledged_, count);
        run_->log_.acknowledged(number_, count);
        run_->env_->tell(name_of(number_), [&] {
          return "is told that " + std::to_string(count) + " of its messages are safe";
        });
        return true;
      }

      void send_all(typename T::Writer& writer, Event& room, const bool& over) {
        std::uint64_t next = acknowledged_;
        while (!over) {
          if (next == run_->messages_ || next >= acknowledged_ + window) {
            room.reset();
            if (!room.wait(Deadline::never(), "acknowledgements")) return;
            continue;
          }
          if (!run_->send(*network_, writer,
                          run_->message(*network_, Command::request, number_, next,
                                        run_->body_of(number_, next))))
            return;
          ++next;
          if (run_->pace_ns_ == 0) continue;
          const Duration pause(
              static_cast<std::int64_t>(run_->key(number_ + 1000, next) % run_->pace_ns_));
          if (!network_->scheduler().sleep_for(pause)) return;
        }
      }

      Run* run_;
      Network* network_;
      std::size_t number_;
      std::uint64_t acknowledged_ = 0;
    };

    bool in_time(std::size_t client, std::uint64_t acknowledged) {
      const TimePoint now = env_->node("server").clock().now();
      return env_->judge().check(
          now.ns <= faults_end_ + delivery_bound.count() || !env_->simulated(), "log_delivered",
          [&] {
            return "long after the last fault only " + std::to_string(acknowledged) +
                   " messages of client " + std::to_string(client) + " are acknowledged";
          });
    }

    Env* env_;
    std::size_t clients_;
    std::uint64_t messages_;
    std::uint64_t pace_ns_;
    std::int64_t faults_end_;
    bool early_;
    Scheduler* scheduler_;
    DurableLog log_;
    Event listens_;
    std::optional<Address> address_;  // of the server, once it has listened
  };
};

}  // namespace twinwire::laws
