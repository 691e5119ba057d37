// SPDX-License-Identifier: Apache-2.0
// handshake: two replicas that show each other who they are, again and again, with somebody between them who tries all
// sorts of things. Whatever that is, nobody is taken for who it is not; and where the network lets them, both agree.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "props/laws/env.h"
#include "props/laws/handshake_attacker.h"
#include "props/laws/handshake_side.h"
#include "sim/fault_plan.h"
#include "transport/seam.h"

namespace twinwire::laws {

struct Handshake {
  static constexpr std::string_view name = "handshake";
  static constexpr std::string_view summary =
      "two replicas verify each other, while somebody between them cheats";

  static void limit_faults(sim::FaultPlan& plan) {
    // How clocks that differ are told is the business of a trick, and of the tests.
    plan.off(sim::Site::clock_skew);
    plan.off(sim::Site::clock_drift);
    // Drawn once, for as long as the listener lives: it is no fault that ends.
    plan.off(sim::Site::short_backlog);
  }

  // Frames alone on a stream: what the plane of replicas runs over.
  template <class T>
  static constexpr bool runs_over = requires(typename T::Conn conn) { conn.channel_binding(); };

  template <Transport T>
  static void run(Env& env) {
    Run<T>(env).all();
  }

 private:
  // What a dialer is, or does, that the acceptor is to refuse, or not.
  enum class Guise : std::uint8_t {
    honest,
    unwanted,
    of_other_cluster,
    for_other_plane,
    old_key,
    astray
  };

  template <Transport T>
  class Run {
   public:
    explicit Run(Env& env)
        : env_(&env),
          server_(&env.node("server")),
          client_(&env.node("client")),
          attacker_(&env.node("attacker")),
          laws_(env.judge()),
          server_memory_(nonces_kept),
          client_memory_(nonces_kept) {}

    void all() {
      run_scope(scheduler(), [&](Scope& background) {
        auto listener = T::listen(*server_, background, env_->bind_address("server"),
                                  env_->listen_options<T>());
        if (!env_->listens(listener)) return;
        auto trap = T::listen(*attacker_, background, env_->bind_address("attacker"),
                              env_->listen_options<T>());
        if (!env_->listens(trap)) return;
        run_scope(scheduler(), [&](Scope& servers) {
          servers.spawn("server.accept", [&] { accept_all(*listener, servers); });
          for (std::size_t rounds = 1 + env_->draw(6); rounds > 0; --rounds)
            play(listener->local(), *trap);
          env_->end_faults_at(server_->clock().now());
          last(listener->local(), *trap);
          servers.cancel();
        });
        background.cancel();
      });
      env_->judge().check(server_memory_.nonces.size() <= nonces_kept * dialers,
                          "handshake_bounded", [&] {
                            return std::to_string(server_memory_.nonces.size()) +
                                   " nonces are remembered of two dialers";
                          });
    }

   private:
    static constexpr std::size_t nonces_kept = 2;  // of each dialer: few, so that the bound is met
    static constexpr std::size_t dialers = 2;
    static constexpr std::uint8_t client_id = 1;
    static constexpr std::uint8_t server_id = 2;
    static constexpr std::uint8_t unwanted_id = 5;
    static constexpr Duration freshness = std::chrono::seconds(2);
    static constexpr Duration patience = std::chrono::seconds(10);
    static constexpr U128 cluster = {.low = 0x1dea, .high = 7};
    static constexpr U128 other_cluster = {.low = 0x1dea, .high = 8};
    static constexpr std::string_view other_plane = "client";

    Scheduler& scheduler() { return server_->scheduler(); }

    static HandshakeKey key(int number) {
      HandshakeKey made;
      for (std::size_t i = 0; i < made.bytes.size(); ++i)
        made.bytes[i] =
            static_cast<std::byte>(scramble(static_cast<std::uint64_t>(number) * 32 + i));
      return made;
    }

    HandshakeOptions options_of_server() {
      HandshakeOptions options;
      options.cluster = cluster;
      options.id = server_id;
      options.keys.current = key(1);
      // The one before, whose time is over.
      options.keys.other = key(0);
      options.keys.other->expires_unix_ns = 1;
      options.freshness = freshness;
      options.admitted.reset(unwanted_id);
      options.memory = &server_memory_;
      return options;
    }
    HandshakeOptions options_of_client(Guise guise) {
      HandshakeOptions options;
      options.cluster = guise == Guise::of_other_cluster ? other_cluster : cluster;
      options.id = guise == Guise::unwanted ? unwanted_id : client_id;
      options.peer_id = guise == Guise::astray ? unwanted_id : server_id;
      options.keys.current = key(guise == Guise::old_key ? 0 : 1);
      if (guise == Guise::for_other_plane) options.plane = other_plane;
      options.freshness = freshness;
      options.memory = &client_memory_;
      return options;
    }

    // --- The honest ends -----------------------------------------------------------------------------------------

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
      HandshakeSide& side = laws_.begin(HandshakeRole::acceptor, options_of_server(),
                                        conn.channel_binding(), *server_);
      (void)shake(side, *server_, std::move(conn));
    }

    // Whether both sides were verified.
    bool dial(const Address& address, Guise guise) {
      const Deadline deadline = client_->clock().in(patience);
      auto conn = T::dial(*client_, address, env_->dial_options<T>(), deadline);
      if (!conn) return false;
      HandshakeSide& side = laws_.begin(HandshakeRole::dialer, options_of_client(guise),
                                        conn->channel_binding(), *client_);
      if (guise == Guise::old_key) laws_.outdated(side.core.session().dialer);
      return shake(side, *client_, std::move(*conn));
    }

    bool shake(HandshakeSide& side, Network& network, typename T::Conn conn) {
      const bool dialer = side.role == HandshakeRole::dialer;
      env_->judge().check(side.binding.has_value() == encrypts_here, "authentic",
                          "a channel that encrypts has no name, or one in the clear has");
      auto [reader, writer] = split(std::move(conn));
      const Deadline deadline = network.clock().in(patience);
      const auto peer =
          bus::run_handshake(side.core, network, reader, writer, side.options, deadline);
      env_->saw(env_->key_of(dialer ? "client" : "server"), 0,
                peer ? 100 : static_cast<std::uint64_t>(peer.error().code));
      env_->tell(dialer ? "client" : "server", [&] {
        return peer ? "verified replica " + std::to_string(peer->id)
                    : "verified nobody: " + to_string(peer.error()) + ", " +
                          std::string(bus::name(side.core.rejection()));
      });
      if (!peer) return false;
      laws_.reported(side, *peer);
      // So that the dialer, which learns last, is not cut off before.
      if (!dialer) (void)reader.read_message(default_max_message, deadline);
      return true;
    }

    // --- Rounds --------------------------------------------------------------------------------------------------

    static Guise guise_for(Trick trick) {
      return trick == Trick::recluster ? Guise::of_other_cluster
             : trick == Trick::replane ? Guise::for_other_plane
                                       : Guise::honest;
    }

    void play(const Address& server, typename T::Listener& trap) {
      switch (env_->draw(8)) {
        case 0: (void)dial(server, Guise::honest); return;
        case 1:
          for (std::size_t i = 0; i < 2 * nonces_kept; ++i) (void)dial(server, Guise::honest);
          return;
        case 2:
          // With the key before, or to a replica that lives elsewhere.
          (void)dial(server, env_->draw(2) == 1 ? Guise::astray : Guise::old_key);
          return;
        default: {
          const auto trick = static_cast<Trick>(env_->draw(trick_count));
          const bool unwanted = env_->draw(4) == 1;
          through(server, trap, trick, unwanted ? Guise::unwanted : guise_for(trick));
        }
      }
    }

    // The dialer comes to the attacker, which does its trick.
    bool through(const Address& server, typename T::Listener& trap, Trick trick, Guise guise) {
      HandshakeAttacker<T> attacker(*env_, *attacker_, laws_, server, freshness, cluster,
                                    "replica");
      bool agreed = false;
      run_scope(scheduler(), [&](Scope& round) {
        round.spawn("attacker.accept", [&] {
          for (;;) {
            auto caught = trap.accept(Deadline::never());
            if (caught) {
              round.spawn("attacker.conn",
                          [&attacker, trick, conn = std::move(caught->first)]() mutable {
                            attacker.meet(std::move(conn), trick);
                          });
              continue;
            }
            if (caught.error() == Errc::canceled || caught.error() == Errc::shutting_down) return;
            if (!scheduler().sleep_for(std::chrono::milliseconds(1))) return;
          }
        });
        agreed = dial(trap.local(), guise);
        // What it does behind the dialer's back takes a while.
        (void)scheduler().sleep_for(std::chrono::seconds(1));
        round.cancel();
      });
      return agreed;
    }

    // Nothing goes wrong any more: two honest replicas agree, also where somebody passes on what they say, or has
    // tried to spoil it. But not where that ends the encryption.
    void last(const Address& server, typename T::Listener& trap) {
      const std::uint64_t how = env_->draw(3);
      const bool in_between = how != 0;
      const bool agreed =
          in_between
              ? through(server, trap, how == 1 ? Trick::forge_first : Trick::relay, Guise::honest)
              : dial(server, Guise::honest);
      env_->judge().check(agreed == !(in_between && encrypts_here), "handshake_agrees", [&] {
        return agreed ? std::string("two replicas agreed over two channels")
                      : "nothing went wrong" + std::string(in_between ? " in between" : "") +
                            ", and two honest replicas did not agree";
      });
    }

    static constexpr bool encrypts_here = requires(typename T::Options options) { options.tls; };

    Env* env_;
    Network* server_;
    Network* client_;
    Network* attacker_;
    HandshakeLaws laws_;
    bus::HandshakeMemory server_memory_;
    bus::HandshakeMemory client_memory_;
  };
};

}  // namespace twinwire::laws
