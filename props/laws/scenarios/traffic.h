// SPDX-License-Identifier: Apache-2.0
// traffic: some connections to one listener, batches both ways, impatient readers, every kind of end. All the laws that
// a stream of honest messages can show. The default scenario of `hunt`.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "props/laws/registry.h"
#include "props/laws/traffic_shape.h"
#include "props/laws/traffic_side.h"
#include "props/laws/traits.h"

namespace twinwire::laws {

struct Traffic {
  static constexpr std::string_view name = "traffic";
  static constexpr std::string_view summary =
      "batches both ways over some connections, every kind of end; all laws";

  template <Transport T>
  static void run(Env& env) {
    TrafficPlan plan = traffic_plan_of(env.seed());
    if (env.shaping()) reshape(plan, env);
    (void)run_plan<T>(env, std::move(plan));
  }
  // The same for a plan of the caller's. Whether all of it came to be: every connection, every message, and every close
  // a success.
  template <Transport T>
  static bool run_plan(Env& env, TrafficPlan plan) {
    Run<T> run(env, std::move(plan));
    run.all();
    return run.came_through();
  }

 private:
  // What the two ends of one connection share.
  struct Pair {
    Pair(Judge& judge, std::size_t number, std::uint64_t id, bool any_order)
        : up(judge, "conn " + std::to_string(number) + " client to server", 2 * id, any_order),
          down(judge, "conn " + std::to_string(number) + " server to client", 2 * id + 1,
               any_order) {}
    Witness up;
    Witness down;
    Address client_address;
    bool dialed = false;
    bool server_began = false;
    SideOutcome client;
    SideOutcome server;
    std::shared_ptr<StreamRecord> client_record;
    std::shared_ptr<StreamRecord> server_record;
  };

  template <Transport T>
  class Run {
   public:
    Run(Env& env, TrafficPlan plan)
        : env_(&env),
          plan_(std::move(plan)),
          any_order_(may_yield_in_any_order<T> &&
                     env.shape("any_order", scramble(mix(env.seed(), 0xa0)) % 4 == 1 ? 1 : 0) != 0),
          server_(env.node("server"), env.judge(), env.origins()) {
      for (std::size_t i = 0; i < plan_.conns.size(); ++i)
        pairs_.push_back(std::make_unique<Pair>(env.judge(), i, mix(env.seed(), i), any_order_));
    }

    void all() {
      run_scope(scheduler(), [&](Scope& background) {
        typename T::Options options = with_buffers(env_->listen_options<T>(), plan_.conns.front());
        options.accept_after_first_message = plan_.accept_after_first_message;
        auto listener = T::listen(server_, background, env_->bind_address("server"), options);
        if (!env_->listens(listener)) return;
        run_scope(scheduler(), [&](Scope& servers) {
          const FiberHandle accepting =
              servers.spawn("server.accept", [&] { accept_all(*listener, servers); });
          run_scope(scheduler(), [&](Scope& clients) {
            for (std::size_t i = 0; i < pairs_.size(); ++i)
              clients.spawn("client" + std::to_string(i), [&, i] { client(i, listener->local()); });
          });
          scheduler().cancel(accepting);
        });
        background.cancel();
      });
      // A drop never suspends: the packet that tells of it leaves with the pump's next turn, perhaps still to come.
      if constexpr (over_datagrams<T>) (void)scheduler().sleep_for(std::chrono::milliseconds(1));
      for (std::size_t i = 0; i < pairs_.size(); ++i) judge_pair(*pairs_[i]);
    }

    bool came_through() const {
      return std::all_of(pairs_.begin(), pairs_.end(), [&](const auto& pair) {
        const ConnPlan& plan = plan_.conns[static_cast<std::size_t>(&pair - pairs_.data())];
        const auto closed = [](const SideOutcome& side) { return side.close && *side.close; };
        return pair->server_began && closed(pair->client) && closed(pair->server) &&
               pair->up.yielded_count() == message_count(plan.client) &&
               pair->down.yielded_count() == message_count(plan.server);
      });
    }

   private:
    Scheduler& scheduler() { return server_.scheduler(); }

    typename T::Options with_buffers(typename T::Options options, const ConnPlan& conn) const {
      if constexpr (may_yield_in_any_order<T>) options.any_order = any_order_;
      if constexpr (has_bare_frames<T>) options.coalesce_below = plan_.coalesce_below;
      options.stream.send_buffer = conn.send_buffer;
      options.stream.receive_buffer = conn.receive_buffer;
      // Pings in the middle of everything, on every second connection; patient, so that they end none.
      if constexpr (requires { options.ping_interval; })
        if (conn.dial_after.count() % 2000 != 0) {
          options.ping_interval = conn.dial_after + std::chrono::microseconds(100);
          options.ping_timeout = std::chrono::minutes(10);
        }
      return options;
    }

    void client(std::size_t i, const Address& server) {
      const ConnPlan& plan = plan_.conns[i];
      Pair& pair = *pairs_[i];
      TapNetwork network(env_->node("client" + std::to_string(i)), env_->judge(), env_->origins());
      if (plan.left_out) return;
      (void)scheduler().sleep_for(plan.dial_after);
      const Deadline patience = network.clock().in(std::chrono::seconds(10));
      auto conn = T::dial(network, server, with_buffers(env_->dial_options<T>(), plan), patience);
      env_->judge().check(network.clock().now() <= patience.at + env_->slack(), "deadline",
                          "dial returned after its deadline");
      if (!conn) {
        Told(*env_, "client" + std::to_string(i)).dial_failed(conn.error());
        return;
      }
      pair.client_address = network.records().front()->local;
      network.records().front()->pieces = pieces_of<T>(true);
      network.records().front()->copied_below = plan_.coalesce_below;
      pair.dialed = true;
      dialed_.wake_all(scheduler());
      auto [reader, writer] = split(std::move(*conn));
      TrafficSide<typename T::Reader, typename T::Writer> side(
          *env_, network, std::move(reader), std::move(writer), plan.client,
          message_count(plan.server),
          SideChecks(*env_, "client" + std::to_string(i), Traits::of<T>(),
                     network.records().front(), pair.up, pair.down),
          mix(env_->seed(), 2 * i));
      pair.client = side.run();
      pair.client_record = network.records().front();
    }

    void accept_all(typename T::Listener& listener, Scope& servers) {
      for (;;) {
        auto accepted = listener.accept(Deadline::never());
        if (accepted) {
          servers.spawn("server.conn",
                        [&, conn = std::move(accepted->first), peer = accepted->second]() mutable {
                          serve(std::move(conn), peer);
                        });
          continue;
        }
        if (accepted.error() == Errc::canceled || accepted.error() == Errc::shutting_down) return;
        env_->saw(Env::key_of("server's accept"), ++accepts_failed_,
                  static_cast<std::uint64_t>(accepted.error().code));
        env_->judge().check(
            accepted.error() == Errc::broken || accepted.error() == Errc::no_resources, "accept",
            [&] { return "accept failed with " + to_string(accepted.error()); });
      }
    }

    // Which plan an accepted connection follows is known once its client's dial has returned.
    std::size_t pair_of(const Address& seen) {
      if (plan_.serve_at_once) return 0;
      const Address peer = server_.origin(seen);
      const Deadline patience = server_.clock().in(std::chrono::seconds(5));
      for (;;) {
        for (std::size_t i = 0; i < pairs_.size(); ++i)
          if (pairs_[i]->dialed && is_at(pairs_[i]->client_address, peer)) return i;
        if (dialed_.wait(scheduler(), patience, "the client's dial to return") != Wake::ready)
          return pairs_.size();
      }
    }

    // A datagram socket need not know its own address, only its port.
    static bool is_at(const Address& client, const Address& peer) {
      return client == peer ||
             (client == Address::v4(0, 0, 0, 0, client.port) && client.port == peer.port);
    }

    void serve(typename T::Conn conn, const Address& peer) {
      const std::size_t i = pair_of(peer);
      if (i == pairs_.size()) return;  // the client gave up while dialling
      Pair& pair = *pairs_[i];
      const ConnPlan& plan = plan_.conns[i];
      pair.server_began = true;
      server_.record_of(peer)->pieces = pieces_of<T>(false);
      server_.record_of(peer)->copied_below = plan_.coalesce_below;
      auto [reader, writer] = split(std::move(conn));
      TrafficSide<typename T::Reader, typename T::Writer> side(
          *env_, server_, std::move(reader), std::move(writer), plan.server,
          message_count(plan.client),
          SideChecks(*env_, "server" + std::to_string(i), Traits::of<T>(), server_.record_of(peer),
                     pair.down, pair.up),
          mix(env_->seed(), 2 * i + 1));
      pair.server = side.run();
      pair.server_record = server_.record_of(peer);
    }

    // Clause 5: every message of a successful batch arrives if close returned ok and the peer read to the end.
    void delivered(const Witness& direction, const SideOutcome& sender, const SideOutcome& reader) {
      if constexpr (has_authentic_end<T>) {
        const bool read_closed =
            reader.read_end == Error{Errc::closed} && reader.read_end_before_own_close;
        env_->judge().check(!read_closed || sender.close.has_value(), "read_end", [&] {
          return direction.label() + ": it read as closed, and nobody had closed it";
        });
      }
      if (!sender.close || !*sender.close) return;
      if (reader.read_end != Error{Errc::closed} || !reader.read_end_before_own_close) return;
      env_->judge().check(
          direction.yielded_count() >= direction.accepted_count(), "close_delivers", [&] {
            return direction.label() + ": close returned ok, the peer read to the end, and only " +
                   std::to_string(direction.yielded_count()) + " of " +
                   std::to_string(direction.accepted_count()) + " messages arrived";
          });
    }

    void judge_pair(const Pair& pair) {
      if (!pair.server_began) return;
      delivered(pair.up, pair.client, pair.server);
      delivered(pair.down, pair.server, pair.client);
      if constexpr (over_datagrams<T>) {
        ended_as_told(pair.up.label(), pair.client, pair.client_record, pair.server);
        ended_as_told(pair.down.label(), pair.server, pair.server_record, pair.client);
      }
    }

    // Of a drop and of a good close, what shows at the peer where no byte stream can be looked at.
    void ended_as_told(const std::string& label, const SideOutcome& side,
                       const std::shared_ptr<StreamRecord>& record, const SideOutcome& peer) {
      Judge& judge = env_->judge();
      if (side.gave_up) {
        // To an address that is not proven yet no more may be sent than three times what came from it (RFC 9000, 8.1).
        judge.check(record == nullptr || record->moved || record->sent_after_drop > 0, "drop",
                    label + ": a dropped connection told the peer nothing");
        judge.check(peer.read_end != Error{Errc::closed} || !peer.read_end_before_own_close, "drop",
                    label + ": the peer of a dropped connection read a clean end");
      }
      if (side.close && *side.close)
        judge.check(peer.close.has_value(), "close_delivers",
                    label + ": close returned ok, and the peer had not said good-bye");
    }

    Env* env_;
    TrafficPlan plan_;
    bool any_order_;
    TapNetwork server_;
    std::uint64_t accepts_failed_ = 0;
    WaitQueue dialed_;
    std::vector<std::unique_ptr<Pair>> pairs_;
  };
};

}  // namespace twinwire::laws
