// SPDX-License-Identifier: Apache-2.0
// bus_shards: nodes of one to three shards, each with a bus of its own, and clients over the transport. First a storm:
// every shard sends to peers of every other, nodes crash, connections come and go. Then calm, in which the races
// between shards are made to happen, one after another. At last a node shuts down, one shard before the others.
#pragma once

#include <deque>
#include <string>

#include "props/laws/bus_client.h"
#include "props/laws/limit_faults.h"
#include "props/laws/shard_cluster.h"
#include "sim/fault_plan.h"
#include "transport/bus/planes.h"
#include "transport/tcp/tcp.h"

namespace twinwire::laws {

struct BusShards {
  static constexpr std::string_view name = "bus_shards";
  static constexpr bool starts_nodes = true;
  static constexpr bool has_shards = true;
  static constexpr std::string_view summary =
      "a bus on each shard of a node: messages forwarded, replicas claimed, connections handed "
      "over";

  static void limit_faults(sim::FaultPlan& plan) {
    keep_buses_together(plan);
    plan.off(sim::Site::unsynced_kept);  // of a disk: there is none
  }

  template <Transport T>
  static void run(Env& env) {
    Run<T> run(env);
    run.all();
  }

 private:
  template <Transport T>
  class Run {
   public:
    explicit Run(Env& env)
        : env_(&env),
          cluster_(env, 2 + env.draw(2),
                   [&env](bus::Bus& bus, const Address& address) {
                     return bus::open_client_plane<T>(bus, address, env.listen_options<T>());
                   }),
          unit_(cluster_.times.unit) {}

    void all() {
      const auto eighths = static_cast<std::int64_t>(env_->draw(std::uint64_t{1} << env_->draw(7)));
      const Duration storm = unit_ * eighths / (env_->simulated() ? 8 : 64);
      env_->end_faults_at(cluster_.now() + storm);
      run_scope(scheduler(), [&](Scope& programs) {
        for (auto& node : cluster_.nodes)
          programs.spawn("run " + node->name, [&] { cluster_.run(*node); });
        run_scope(scheduler(), [&](Scope& visitors) {
          const std::size_t clients = env_->draw(4);
          for (std::size_t i = 0; i < clients; ++i)
            visitors.spawn("client" + std::to_string(i), [this, i] { come_and_go(i); });
          (void)scheduler().sleep_for(storm);
          cluster_.storm = false;
          visitors.cancel();
        });
        cluster_.await_whole(40 * unit_, "the faults");
        // Until handlers are through with what the storm has asked of them.
        (void)cluster_.await(60 * unit_, [&] { return cluster_.idle(); });
        cluster_.await_whole(15 * unit_, "the last handler was through");
        cluster_.await_heard(15 * unit_);
        // What the storm has put at some byte of a connection would strike in the calm.
        cluster_.renew();
        cluster_.await_whole(15 * unit_, "all connections were dropped");
        if (!judge().verdict()) in_the_calm();
        for (auto& node : cluster_.nodes) node->stop.set();
      });
      if (!judge().verdict()) cluster_.book.judge_gaps();
    }

   private:
    using Client = BusClient<T>;
    Scheduler& scheduler() { return cluster_.scheduler(); }
    Judge& judge() { return env_->judge(); }
    Duration promptly() const { return unit_ / 5; }
    std::size_t shards() const { return cluster_.shards; }

    // --- The storm -------------------------------------------------------------------------------------------------

    // Where a client may go: to a shard, or to one that deals out.
    template <class C>
    bool come(C& client, const ShardNode& node, std::size_t door) {
      client.hears(shards());
      const auto& address = node.clients[door];
      return address && client.connect(*address, unit_);
    }

    void come_and_go(std::size_t number) {
      std::uint64_t key = mix(env_->seed() ^ 0x5a4d, number);
      const auto draw = [&key](std::uint64_t below) {
        key = scramble(key + 0x9e3779b97f4a7c15ULL);
        return key % below;
      };
      while (!scheduler().cancel_pending()) {
        const ShardNode& node = *cluster_.nodes[draw(cluster_.nodes.size())];
        const std::size_t door = draw(shards());
        const std::string client_name = "client" + std::to_string(number);
        if (draw(3) == 0) {
          BusClient<Tcp> dealt(*env_, cluster_.book, client_name);
          dealt.hears(shards());
          if (node.dealt && dealt.connect(*node.dealt, unit_, BusAsk::echo))
            dealt.read({cluster_.now() + Duration(static_cast<std::int64_t>(draw(400'000'000)))});
        }
        Client client(*env_, cluster_.book, client_name);
        if (come(client, node, door)) {
          for (std::uint64_t n = draw(10); n > 0 && !client.end; --n) {
            const BusAsk ask = draw(30) == 0  ? BusAsk::fail
                               : draw(2) == 0 ? BusAsk::echo
                                              : BusAsk::nothing;
            if (!client.send(ask, draw(4) == 0 ? 5000 : 100, unit_)) break;
            if (draw(3) != 0)
              client.read(
                  {cluster_.now() + Duration(static_cast<std::int64_t>(draw(400'000'000)))});
          }
          if (draw(2) == 0) (void)client.close(unit_);
        }
        (void)scheduler().sleep_for(Duration(static_cast<std::int64_t>(draw(500'000'000))));
      }
    }

    // --- The calm --------------------------------------------------------------------------------------------------

    // The node with the highest id: the others dial it.
    ShardNode& target() { return *cluster_.nodes.back(); }
    ShardApp& app(std::size_t shard) { return target().app(shard); }
    // The shard on which that client is, once it was heard; nullptr: on none.
    ShardApp* home_of(BusBook::Session session) {
      for (std::size_t shard = 0; shard < shards(); ++shard)
        if (app(shard).client_of(session)) return &app(shard);
      return nullptr;
    }

    void in_the_calm() {
      std::deque<Client> steady;  // one a shard
      Client dropped(*env_, cluster_.book, "dropped");
      Client mute(*env_, cluster_.book, "mute");
      std::deque<BusClient<Tcp>> dealt;
      for (std::size_t i = 0; i < shards(); ++i) {
        steady.emplace_back(*env_, cluster_.book, "steady" + std::to_string(i));
        dealt.emplace_back(*env_, cluster_.book, "dealt" + std::to_string(i));
      }
      run_scope(scheduler(), [&](Scope& scope) {
        for (std::size_t i = 0; i < shards(); ++i) {
          scope.spawn("steady client", [&, i] { stay(steady[i], *target().clients[i]); });
          scope.spawn("dealt client", [&, i] { stay(dealt[i], *target().dealt); });
        }
        scope.spawn("dropped client", [&] { stay(dropped, *target().clients[shards() - 1]); });
        mute.hears(shards());
        bool there = mute.connect(*target().clients[0], 5 * unit_);
        const auto all_have_come = [&] {
          bool all = home_of(dropped.session) != nullptr && home_of(mute.session) != nullptr;
          for (std::size_t i = 0; i < shards(); ++i)
            all = all && home_of(steady[i].session) != nullptr &&
                  home_of(dealt[i].session) != nullptr;
          return all;
        };
        there = there && cluster_.await(5 * unit_, all_have_come);
        if (judge().check(there, "bus_served",
                          "a client was not served though nothing goes wrong")) {
          cluster_.judge_dials();
          judge_places(steady, dealt);
          all_speak_to_all(steady, dealt, "at first");
          fill_lane(steady);
          meet_a_loss(dropped);
          a_twin_on_each_shard();
          move_a_replica();
          all_speak_to_all(steady, dealt, "at last");
          cluster_.judge_left("all was quiet");
        }
        if (!judge().verdict()) nobody_waits(steady, mute);
        if (!judge().verdict()) shut_down(steady, dealt, mute);
        scope.cancel();
      });
    }

    template <class C>
    void stay(C& client, const Address& address) {
      client.hears(shards());
      if (!client.connect(address, 5 * unit_)) return;
      client.read(Deadline::never());
      if (client.end == Error{Errc::closed}) (void)client.close(2 * unit_);
    }

    // Law: bus_served: clients are where they came to, and dealt ones on every shard.
    void judge_places(const std::deque<Client>& steady, const std::deque<BusClient<Tcp>>& dealt) {
      std::vector<int> dealt_to(shards(), 0);
      for (std::size_t i = 0; i < shards(); ++i) {
        const auto id = home_of(steady[i].session)->client_of(steady[i].session);
        judge().check(id->shard() == i, "bus_served", "a client is not on the shard it came to");
        ++dealt_to[home_of(dealt[i].session)->client_of(dealt[i].session)->shard()];
      }
      for (const int count : dealt_to)
        judge().check(count == 1, "bus_served", "clients were not dealt out in turn");
    }

    // Until the lanes are empty, and queues as well.
    void pause() { (void)scheduler().sleep_for(unit_ / 1000 + 3 * cluster_.mail_latency); }

    // Waits until nothing is owed of those sessions; nothing came back, unless it may.
    void judge_came(const std::vector<BusBook::Session>& sessions, std::string_view when,
                    bool may_come_back) {
      const BusBook& book = cluster_.book;
      const bool came = cluster_.await(promptly(), [&] {
        return std::ranges::all_of(sessions, [&](auto session) { return book.owed(session) == 0; });
      });
      for (const BusBook::Session session : sessions) {
        judge().check(came || book.owed(session) == 0, "bus_forward", [&] {
          return std::string(when) + ": " + book.label_of(session) + ": of " +
                 std::to_string(book.queued_of(session)) + " queued messages " +
                 std::to_string(book.owed(session)) + " neither came nor came back";
        });
        judge().check(may_come_back || book.back_of(session) == 0, "bus_forward", [&] {
          return std::string(when) + ": " + book.label_of(session) +
                 ": messages came back though their peer is there";
        });
      }
    }

    // What was heard of a session before more was said.
    struct Heard {
      BusBook::Session session;
      std::uint64_t before;
    };
    template <class Id>
    Heard heard(std::size_t from, Id to) {
      const BusBook::Session session = app(from).session_with(to);
      return {session, cluster_.book.heard_of(session)};
    }
    // Of what is said to a peer that takes what it is given, and whose queue bears it, something comes: that all of it
    // comes back is no way out. Law: bus_forward.
    void judge_heard(const std::vector<Heard>& said, std::string_view when) {
      const BusBook& book = cluster_.book;
      const auto more = [&](const Heard& one) { return book.heard_of(one.session) > one.before; };
      (void)cluster_.await(promptly(), [&] { return std::ranges::all_of(said, more); });
      for (const Heard& one : said)
        judge().check(more(one), "bus_forward", [&] {
          return std::string(when) + ": " + book.label_of(one.session) +
                 ": nothing comes, though its peer is there";
        });
    }

    // Every shard to every client, and to every replica.
    void all_speak_to_all(const std::deque<Client>& steady, const std::deque<BusClient<Tcp>>& dealt,
                          std::string_view when) {
      std::vector<BusBook::Session> sessions;
      std::vector<Heard> spoken;
      for (std::size_t from = 0; from < shards(); ++from) {
        const auto say = [&](auto to) {
          spoken.push_back(heard(from, to));
          for (int n = 0; n < 3; ++n) {
            const auto said = app(from).say(to, 3000);
            judge().check(said.has_value(), "bus_forward", [&] {
              return std::string(when) +
                     ": a message to a peer that is there is refused: " + to_string(said.error());
            });
          }
          if (const auto session = app(from).session_to(to)) sessions.push_back(*session);
        };
        for (std::size_t i = 0; i < shards(); ++i) {
          say(*home_of(steady[i].session)->client_of(steady[i].session));
          pause();
          say(*home_of(dealt[i].session)->client_of(dealt[i].session));
          pause();
        }
        for (const auto& node : cluster_.nodes)
          if (node->id != target().id) say(node->id);
        pause();
      }
      judge_came(sessions, when, true);
      judge_heard(spoken, when);
    }

    // More than a lane holds, at one instant: what it does not take is refused, and nobody waits.
    void fill_lane(const std::deque<Client>& steady) {
      if (shards() == 1) return;
      const auto far = *home_of(steady[1].session)->client_of(steady[1].session);
      std::size_t refused = 0;
      const Heard before = heard(0, far);
      for (std::size_t n = 0; n < cluster_.mail_max + 5; ++n) {
        const auto said = app(0).say(far, 0);
        if (!said && said.error() == Errc::backpressure) ++refused;
      }
      judge().check(refused == 5, "bus_forward", [&] {
        return "a lane of " + std::to_string(cluster_.mail_max) + " refused " +
               std::to_string(refused) + " of 5 messages too many";
      });
      judge_came({*app(0).session_to(far)}, "after a lane was full", true);
      judge_heard({before}, "after a lane was full");
    }

    // A client is dropped while messages of each other shard are on their way to it.
    void meet_a_loss(const Client& dropped) {
      ShardApp& owner = *home_of(dropped.session);
      const auto gone = *owner.client_of(dropped.session);
      std::vector<BusBook::Session> sessions;
      for (std::size_t from = 0; from < shards(); ++from) {
        if (from == gone.shard()) continue;
        (void)app(from).say(gone, 100);
        sessions.push_back(*app(from).session_to(gone));
      }
      owner.bus().disconnect(gone);
      (void)cluster_.await(promptly(), [&] { return !owner.bus().is_connected(gone); });
      for (std::size_t from = 0; from < shards(); ++from)
        for (int n = 0; n < 3 && from != gone.shard(); ++n) (void)app(from).say(gone, 100);
      const bool ended = cluster_.await(promptly(), [&] { return dropped.end.has_value(); });
      judge().check(ended, "bus_left", "a client is not told that its connection was dropped");
      // What was queued in time may have gone down with the connection; of what came later all is back.
      const bool came = cluster_.await(promptly(), [&] {
        return std::ranges::all_of(
            sessions, [&](auto session) { return cluster_.book.back_of(session) >= 3; });
      });
      judge().check(came, "bus_forward",
                    "what was sent to a client that is gone did not come back");
    }

    // Laws: bus_duplicate, bus_winner, bus_owner.
    void a_twin_on_each_shard() {
      const std::uint64_t lost = cluster_.replicas_lost();
      for (std::size_t shard = 0; shard < shards(); ++shard) {
        const auto dropped = cluster_.twin(target(), shard, 1);
        judge().check(dropped && *dropped <= promptly(), "bus_duplicate", [&] {
          return "the second connection of a replica, to shard " + std::to_string(shard) +
                 (dropped ? ", lives for " + std::to_string(dropped->count()) + " ns"
                          : ", is not dropped");
        });
      }
      judge().check(cluster_.replicas_lost() == lost && cluster_.whole(), "bus_winner",
                    "a replica's connection ended since another one came to another shard");
    }

    // A replica comes back on another shard, while a handler holds up the end of its old connection.
    void move_a_replica() {
      const auto owner = target().board->owner[1];
      if (!judge().check(owner.has_value(), "bus_mesh", "a replica is not there")) return;
      const auto sum = [&](auto&& of) {
        std::uint64_t all = 0;
        for (std::size_t shard = 0; shard < shards(); ++shard) all += of(app(shard));
        return all;
      };
      const auto losses = [](ShardApp& one) { return one.replicas_lost(); };
      const auto duplicates = [](ShardApp& one) { return one.bus().counters().duplicates; };
      const std::uint64_t lost = sum(losses);
      ShardApp& first = cluster_.nodes.front()->app(0);
      (void)first.say(target().id, 0, BusAsk::stall);
      (void)scheduler().sleep_for(unit_ / 10);
      const TimePoint stalled = cluster_.now();
      // What is on its way to the old connection does not go over the new one.
      for (std::size_t from = 0; from < shards(); ++from)
        for (int n = 0; n < 3; ++n) (void)app(from).say(bus::ReplicaId{1}, 100);
      app(*owner).bus().disconnect(bus::ReplicaId{1});
      // Somebody takes its place at once; then that, too, is free.
      cluster_.sleeper(target(), *owner, 1, unit_ / 10);
      (void)scheduler().sleep_for(unit_ / 1000);
      const std::uint64_t rejected = sum(duplicates);  // the true one may have come meanwhile
      cluster_.await_whole(8 * unit_, "a replica was dropped");
      (void)scheduler().sleep_until(stalled + cluster_.times.stall() + 2 * unit_);
      judge().check(cluster_.whole() && sum(losses) == lost + 2, "bus_winner", [&] {
        return "a connection was dropped, and one that took its place; its node was told of " +
               std::to_string(sum(losses) - lost) + " losses";
      });
      judge().check(sum(duplicates) == rejected, "bus_duplicate",
                    "a replica that is connected was dialed");
      cluster_.await_heard(2 * unit_);
    }

    // A client that reads nothing is filled by another shard, until what that sends to it comes back; what it sends to
    // others of the same shard is there at once. Law: bus_alone.
    void nobody_waits(const std::deque<Client>& steady, const Client& mute) {
      if (shards() == 1) return;
      ShardApp& far = app(shards() - 1);
      const auto full = *app(0).client_of(mute.session);
      (void)far.say(full, 0);
      const BusBook::Session filled = *far.session_to(full);
      for (int n = 0; n < 6000 && cluster_.book.back_of(filled) == 0; ++n)
        if (!far.say(full, 40'000)) (void)scheduler().sleep_for(unit_ / 500);
      pause();
      const auto other = *app(0).client_of(steady[0].session);
      const Heard waits = heard(shards() - 1, other);
      (void)far.say(other, 100);
      const bool came = cluster_.await(
          promptly(), [&] { return cluster_.book.heard_of(waits.session) > waits.before; });
      judge().check(came, "bus_alone",
                    "a client waits for what another shard sends, while another takes nothing");
    }

    // --- The end ---------------------------------------------------------------------------------------------------

    // Laws: bus_drain, bus_lanes, bus_owner. One shard begins earlier than the others; meanwhile clients come that are
    // dealt out, to that one, too.
    void shut_down(const std::deque<Client>& steady, const std::deque<BusClient<Tcp>>& dealt,
                   const Client& mute) {
      const Duration leads[] = {Duration{0}, unit_ / 2, unit_ / 1000};
      const Duration lead = leads[env_->draw(std::size(leads))];
      const auto first = static_cast<std::size_t>(env_->draw(shards()));
      target().tells_all = (first + 1) % shards();
      saturate(*app(0).client_of(mute.session));
      std::vector<BusBook::Session> flushed;
      const auto say = [&](std::size_t from, auto to) {
        for (int n = 0; n < 2; ++n) (void)app(from).say(to, 3000);
        if (const auto session = app(from).session_to(to)) flushed.push_back(*session);
      };
      std::vector<bus::ClientId> readers;
      for (std::size_t i = 0; i < shards(); ++i) {
        readers.push_back(*home_of(steady[i].session)->client_of(steady[i].session));
        readers.push_back(*home_of(dealt[i].session)->client_of(dealt[i].session));
      }
      for (std::size_t from = 0; from < shards(); ++from) {
        for (const bus::ClientId id : readers) say(from, id);
        for (const auto& node : cluster_.nodes)
          if (node->id != target().id) say(from, node->id);
      }
      std::deque<BusClient<Tcp>> late;
      const std::size_t peers = readers.size() + cluster_.nodes.size() - 1;
      if (lead > Duration::zero()) {
        app(first).bus().trigger_shutdown();
        for (std::size_t i = 0; i < shards(); ++i) {
          BusClient<Tcp>& client = late.emplace_back(*env_, cluster_.book, "late");
          client.hears(shards());
          (void)client.connect(*target().dealt, unit_);
        }
        // Others go on sending to its clients meanwhile: it takes them until all have stopped.
        for (std::size_t from = 0; from < shards(); ++from)
          for (const bus::ClientId id : readers)
            if (from != first) say(from, id);
        (void)scheduler().sleep_for(lead);
      }
      finish(peers, flushed);
    }

    void saturate(bus::ClientId mute) {
      int refused = 0;
      for (int n = 0; n < 6000 && refused < 3; ++n) {
        const auto said = app(0).say(mute, 40'000);
        if (said) {
          refused = 0;
          continue;
        }
        if (said.error() != Errc::backpressure) return;
        ++refused;
        (void)scheduler().sleep_for(unit_ / 500);
      }
    }

    void finish(std::size_t peers, const std::vector<BusBook::Session>& flushed) {
      target().stop.set();
      (void)target().ended.wait({cluster_.now() + 40 * unit_}, "the end of a node");
      bus::ShutdownOutcome sum;
      for (const bus::ShutdownOutcome& one : target().outcomes) {
        sum.clean += one.clean;
        sum.forced += one.forced;
      }
      judge().check(target().shutdown_took <= 8 * unit_ + env_->slack(), "bus_drain", [&] {
        return "a shutdown took " + std::to_string(target().shutdown_took.count()) + " ns";
      });
      judge().check(sum.clean >= peers && sum.forced >= 1, "bus_drain", [&] {
        return "of " + std::to_string(peers) + " peers that read and one that does not, " +
               std::to_string(sum.clean) + " ended cleanly and " + std::to_string(sum.forced) +
               " did not";
      });
      const BusBook& book = cluster_.book;
      for (const BusBook::Session session : flushed)
        judge().check(book.owed(session) == 0, "bus_drain", [&] {
          return book.label_of(session) + ": of " + std::to_string(book.queued_of(session)) +
                 " queued messages " + std::to_string(book.owed(session)) +
                 " did not come, though it read";
        });
    }

    Env* env_;
    ShardCluster cluster_;
    Duration unit_;
  };
};

}  // namespace twinwire::laws
