// SPDX-License-Identifier: Apache-2.0
// bus: a cluster of nodes, each with a bus, and clients over the transport. First a storm: everybody sends at random,
// nodes crash and start again, clients and connections come and go. Then calm: the mesh has to be whole again, and what
// makes a bus go wrong is made to happen, one thing after another. At last a node shuts down while a peer is mute.
#pragma once

#include <deque>
#include <string>

#include "props/laws/bus_client.h"
#include "props/laws/bus_cluster.h"
#include "props/laws/limit_faults.h"
#include "sim/fault_plan.h"
#include "transport/bus/planes.h"

namespace twinwire::laws {

struct BusUnderTest {
  static constexpr std::string_view name = "bus";
  static constexpr bool starts_nodes = true;
  static constexpr std::string_view summary =
      "replicas and clients by id over a bus, through crashes, duplicates, mute peers and a "
      "shutdown";

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
      const Duration storm = unit_ * eighths / (simulated() ? 8 : 64);
      env_->end_faults_at(cluster_.now() + storm);
      run_scope(scheduler(), [&](Scope& programs) {
        for (auto& node : cluster_.nodes)
          programs.spawn("run " + node->name, [&] { cluster_.run(*node); });
        run_scope(scheduler(), [&](Scope& visitors) {
          const std::size_t clients = env_->draw(4);
          for (std::size_t i = 0; i < clients; ++i)
            visitors.spawn("client" + std::to_string(i), [this, i] { come_and_go(i); });
          visitors.spawn("stranger", [this] { strangers(); });
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
        // What a clog let through late may take a place, and is silent.
        cluster_.await_whole(15 * unit_, "all connections were dropped");
        if (!judge().verdict()) in_the_calm();
        for (auto& node : cluster_.nodes) node->stop.set();
      });
    }

   private:
    using Client = BusClient<T>;
    bool simulated() const { return env_->simulated(); }
    Scheduler& scheduler() { return cluster_.scheduler(); }
    Judge& judge() { return env_->judge(); }
    // What is asked of a bus at once; the World needs less than a thousandth of it.
    Duration promptly() const { return unit_ / 5; }

    // --- The storm -------------------------------------------------------------------------------------------------

    void come_and_go(std::size_t number) {
      std::uint64_t key = mix(env_->seed() ^ 0xb05, number);
      const auto draw = [&key](std::uint64_t below) {
        key = scramble(key + 0x9e3779b97f4a7c15ULL);
        return key % below;
      };
      while (!scheduler().cancel_pending()) {
        const BusNode& node = *cluster_.nodes[draw(cluster_.nodes.size())];
        Client client(*env_, cluster_.book, "client" + std::to_string(number));
        if (node.clients && client.connect(*node.clients, unit_)) {
          for (std::uint64_t n = draw(10); n > 0 && !client.end; --n) {
            const BusAsk ask = draw(30) == 0  ? BusAsk::fail
                               : draw(2) == 0 ? BusAsk::echo
                                              : BusAsk::nothing;
            if (!client.send(ask, draw(4) == 0 ? 5000 : 100, unit_)) break;
            if (draw(3) != 0) client.read({cluster_.now() + Duration(draw(400'000'000))});
          }
          if (draw(2) == 0) (void)client.close(unit_);
        }
        (void)scheduler().sleep_for(Duration(static_cast<std::int64_t>(draw(500'000'000))));
      }
    }

    // At first before the true ones are there.
    void strangers() {
      while (!scheduler().cancel_pending()) {
        for (auto& node : cluster_.nodes) cluster_.stranger(*node);
        (void)scheduler().sleep_for(unit_ / 100);
      }
    }

    // --- The calm --------------------------------------------------------------------------------------------------

    // The node with the highest id: the others dial it.
    BusNode& target() { return *cluster_.nodes.back(); }
    BusApp& app() { return *target().app; }

    void in_the_calm() {
      BusBook& book = cluster_.book;
      Client steady(*env_, book, "steady"), second(*env_, book, "second"),
          dropped(*env_, book, "dropped"), failing(*env_, book, "failing"),
          mute(*env_, book, "mute"), last_mute(*env_, book, "last mute");
      Client* const reading[] = {&steady, &second, &dropped, &failing};
      run_scope(scheduler(), [&](Scope& scope) {
        for (Client* client : reading)
          scope.spawn("steady client", [this, client] { stay(*client); });
        scope.spawn("mute client", [&] { (void)mute.connect(*target().clients, 5 * unit_); });
        bool there =
            cluster_.await(5 * unit_, [&] { return app().client_of(mute.session).has_value(); });
        for (Client* client : reading)
          there = there && cluster_.await(5 * unit_, [&] {
            return app().client_of(client->session).has_value();
          });
        if (judge().check(there, "bus_served", "a client was not served though nothing goes wrong"))
          provoke(scope, steady, dropped, failing, mute);
        if (!judge().verdict()) shut_down(steady, second, last_mute);
        scope.cancel();
      });
    }

    void stay(Client& client) {
      if (!client.connect(*target().clients, 5 * unit_)) return;
      client.read(Deadline::never());
      if (client.end == Error{Errc::closed}) (void)client.close(2 * unit_);
    }

    void provoke(Scope& scope, Client& steady, Client& dropped, Client& failing, Client& mute) {
      saturate(*app().client_of(mute.session));
      for (std::size_t i = 0; i < cluster_.handshakes_max + 2; ++i)
        scope.spawn("mute newcomer", [this] {
          judge().check(cluster_.mute(target(), 15 * unit_), "bus_handshakes",
                        "a newcomer that says nothing is not dropped");
        });
      nobody_waits(steady);
      of_two_the_older_wins();
      const TimePoint begun = cluster_.now();
      lose_connections(steady, dropped, failing);
      judge().check(cluster_.await(begun + 16 * unit_ - cluster_.now(),
                                   [&] { return app().bus().handshakes_unfinished() == 0; }),
                    "bus_handshakes", "handshakes are unfinished long after their limit");
      cluster_.judge_left("all was quiet");
      notice_silence();
    }

    // Until its queue is full, and stays so.
    void saturate(bus::ClientId mute) {
      int refused = 0;
      for (int n = 0; n < 6000 && refused < 3; ++n) {
        const auto said = app().say(mute, 40'000);
        if (said) {
          refused = 0;
          continue;
        }
        if (said.error() != Errc::backpressure) return;
        ++refused;
        (void)scheduler().sleep_for(unit_ / 500);
      }
    }

    // Law: bus_alone.
    void nobody_waits(Client& steady) {
      const std::uint64_t replies = steady.replies;
      (void)steady.send(BusAsk::echo, 100, unit_);
      const bool answered = cluster_.await(promptly(), [&] { return steady.replies > replies; });
      judge().check(answered, "bus_alone", "a client waits while another takes nothing");
      const BusBook::Session to_first = app().session_to(bus::ReplicaId{1});
      (void)app().say(bus::ReplicaId{1}, 1000);
      judge().check(cluster_.await(promptly(), [&] { return cluster_.book.owed(to_first) == 0; }),
                    "bus_alone", "a replica waits while a client takes nothing");
    }

    // Laws: bus_duplicate, bus_winner, bus_handshakes.
    void of_two_the_older_wins() {
      const std::uint64_t lost = cluster_.replicas_lost();
      const BusCluster::Visit twin = cluster_.twin(target(), 1);
      judge().check(twin.authenticated && twin.until_authenticated < 2 * unit_, "bus_handshakes",
                    "those who say nothing hold up one who has the key");
      judge().check(twin.dropped && twin.until_dropped <= promptly(), "bus_duplicate", [&] {
        return "the second connection of a replica lives for " +
               std::to_string(twin.until_dropped.count()) + " ns";
      });
      judge().check(app().bus().handshakes_unfinished() <= cluster_.handshakes_max,
                    "bus_handshakes", "more handshakes are unfinished than may be");
      cluster_.stranger(target());
      judge().check(cluster_.replicas_lost() == lost && cluster_.whole(), "bus_winner",
                    "a replica's connection ended since another one came");
    }

    // Laws: bus_winner, bus_mesh, bus_left.
    void lose_connections(Client& steady, Client& dropped, Client& failing) {
      const std::uint64_t lost = cluster_.replicas_lost();
      const std::uint64_t duplicates = app().bus().counters().duplicates;
      BusApp& first = *cluster_.nodes.front()->app;
      const BusBook::Session session = first.session_to(target().id);
      // While its handler dozes, these come together: one that stalls, a heartbeat, and another.
      for (const BusAsk ask : {BusAsk::doze, BusAsk::doze}) (void)first.say(target().id, 0, ask);
      (void)scheduler().sleep_for(unit_ / 10);
      (void)first.say(target().id, 0, BusAsk::stall);
      const std::uint64_t stall = cluster_.book.queued_of(session);
      (void)scheduler().sleep_for(unit_ * 3 / 2);
      (void)first.say(target().id, 0);
      (void)cluster_.await(4 * unit_, [&] { return cluster_.book.heard_of(session) >= stall; });
      nobody_waits(steady);
      const TimePoint stalled = cluster_.now();
      app().bus().disconnect(bus::ReplicaId{1});
      const auto gone = *app().client_of(dropped.session);
      app().bus().disconnect(gone);
      (void)failing.send(BusAsk::fail, 0, unit_);
      const bool ended = cluster_.await(promptly(), [&] { return dropped.end && failing.end; });
      judge().check(ended, "bus_left",
                    "a client is not told that its connection was dropped, or its handler failed");
      judge().check(!app().bus().is_connected(gone) && !app().client_of(failing.session),
                    "bus_left", "a client that was dropped has its place still");
      cluster_.await_whole(8 * unit_, "a connection was dropped");
      // The handler that held up the end of the old connection is through.
      (void)scheduler().sleep_until(stalled + cluster_.times.stall() + 2 * unit_);
      judge().check(cluster_.whole() && cluster_.replicas_lost() == lost + 2, "bus_winner", [&] {
        return "one connection was dropped, and its ends were told of " +
               std::to_string(cluster_.replicas_lost() - lost) + " losses";
      });
      judge().check(app().bus().counters().duplicates == duplicates, "bus_duplicate",
                    "a replica that is connected was dialed");
    }

    // Somebody takes a replica's place and is silent, as a connection is whose peer is gone. Law: bus_mesh.
    void notice_silence() {
      run_scope(scheduler(), [&](Scope& scope) {
        app().bus().disconnect(bus::ReplicaId{1});
        (void)scheduler().sleep_for(unit_ / 1000);
        scope.spawn("sleeper", [&] { (void)cluster_.sleeper(target(), 1); });
        (void)scheduler().sleep_for(promptly());
        cluster_.await_heard(14 * unit_);
        scope.cancel();
      });
    }

    // --- The end ---------------------------------------------------------------------------------------------------

    // Law: bus_drain.
    void shut_down(Client& steady, Client& second, Client& mute) {
      (void)mute.connect(*target().clients, 5 * unit_);
      (void)cluster_.await(unit_, [&] { return app().client_of(mute.session).has_value(); });
      if (const auto id = app().client_of(mute.session)) saturate(*id);
      std::vector<BusBook::Session> flushed;
      for (Client* client : {&steady, &second}) {
        const auto id = *app().client_of(client->session);
        for (int n = 0; n < 20 && app().say(id, 3000); ++n) {}
        flushed.push_back(app().session_to(id));
      }
      for (const auto& node : cluster_.nodes) {
        if (node->id == target().id) continue;
        for (int n = 0; n < 5; ++n) (void)app().say(node->id, 3000);
        flushed.push_back(app().session_to(node->id));
      }
      const std::size_t peers = 2 + cluster_.nodes.size() - 1;
      const bus::ClientId late = *app().client_of(steady.session);
      app().bus().trigger_shutdown();
      (void)app().say(late, 0);  // is refused
      target().stop.set();
      (void)target().ended.wait({cluster_.now() + 30 * unit_}, "the end of a node");
      const bus::ShutdownOutcome& outcome = target().outcome;
      judge().check(target().shutdown_took <= 6 * unit_ + env_->slack(), "bus_drain", [&] {
        return "a shutdown took " + std::to_string(target().shutdown_took.count()) + " ns";
      });
      judge().check(outcome.clean >= peers && outcome.forced >= 1, "bus_drain", [&] {
        return "of " + std::to_string(peers) + " peers that read and one that does not, " +
               std::to_string(outcome.clean) + " ended cleanly and " +
               std::to_string(outcome.forced) + " did not";
      });
      for (const BusBook::Session session : flushed)
        judge().check(cluster_.book.owed(session) == 0, "bus_drain", [&] {
          return cluster_.book.label_of(session) + ": of " +
                 std::to_string(cluster_.book.queued_of(session)) + " queued messages " +
                 std::to_string(cluster_.book.owed(session)) + " did not come, though it read";
        });
    }

    Env* env_;
    BusCluster cluster_;
    Duration unit_;
  };
};

}  // namespace twinwire::laws
