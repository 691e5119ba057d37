// SPDX-License-Identifier: Apache-2.0
// accepting: mute peers beside honest ones, and an acceptor that fails now and then. Mute peers delay nobody, are
// bounded in time and number, the oldest makes room, and no error ends the listener.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "props/laws/env.h"
#include "props/laws/registry.h"
#include "props/laws/tap.h"
#include "props/laws/told.h"
#include "props/laws/traits.h"
#include "sim/fault_plan.h"
#include "transport/seam.h"
#include "transport/tls/tls_stream.h"

namespace twinwire::laws {

struct Accepting {
  static constexpr std::string_view name = "accepting";
  static constexpr std::string_view summary =
      "mute peers beside honest ones; accept stays prompt and bounded";

  // Only what a handshake must bear without a delay that could be blamed on the network.
  static void limit_faults(sim::FaultPlan& plan) {
    using sim::Site;
    const sim::FaultPlan all = plan;
    const auto ppm = plan[Site::wake_order];
    plan = sim::FaultPlan::none();
    plan[Site::wake_order] = ppm;
    for (const Site site : {Site::short_read, Site::short_write, Site::accept_failure})
      plan[site] = all[site];
    // An honest client tries forty times: where every accept fails it can never be served.
    auto& failing = plan[Site::accept_failure];
    failing.ppm = std::min(failing.ppm, sim::certain / 2);
  }

  template <Transport T>
  static void run(Env& env) {
    Run<T> run(env);
    run.all();
  }

 private:
  static constexpr Duration handshake_timeout = std::chrono::seconds(3);
  static constexpr Duration honest_patience = std::chrono::seconds(20);

  template <Transport T>
  static constexpr bool has_layer_below =
      !over_datagrams<T> && requires(typename T::Options options) { options.tls; };

  template <Transport T>
  class Run {
   public:
    explicit Run(Env& env)
        : env_(&env),
          server_(env.node("server"), env.judge(), env.origins()),
          told_(env, "server"),
          mutes_(size(env, "mute_peers", 2 + env.draw(6), 0)),
          honest_(size(env, "honest_clients", 1 + env.draw(3), 0)),
          bound_(size(env, "handshakes_max", 1 + env.draw(4), 1)),
          dropped_at_(mutes_, TimePoint::never()) {}

    void all() {
      run_scope(scheduler(), [&](Scope& background) {
        typename T::Options options = env_->listen_options<T>();
        options.accept_after_first_message = true;
        options.accept.handshake_timeout = handshake_timeout;
        options.accept.handshakes_max = bound_;
        auto listener = T::listen(server_, background, env_->bind_address("server"), options);
        if (!env_->listens(listener)) return;
        run_scope(scheduler(), [&](Scope& servers) {
          const FiberHandle accepting =
              servers.spawn("server.accept", [&] { serve(*listener, servers); });
          run_scope(scheduler(), [&](Scope& clients) { visit(clients, listener->local()); });
          scheduler().cancel(accepting);
        });
        background.cancel();
      });
      oldest_made_room();
    }

   private:
    Scheduler& scheduler() { return server_.scheduler(); }

    static std::size_t size(Env& env, std::string_view knob, std::uint64_t drawn,
                            std::int64_t low) {
      const auto value = env.shape(knob, static_cast<std::int64_t>(drawn), low);
      return static_cast<std::size_t>(std::clamp<std::int64_t>(value, low, 1000));
    }

    void visit(Scope& clients, const Address& server) {
      for (std::size_t i = 0; i < mutes_; ++i) {
        clients.spawn("mute" + std::to_string(i), [this, i, server] { be_mute(i, server); });
        // One after another, so that who is oldest is known.
        (void)scheduler().sleep_for(std::chrono::milliseconds(10));
        check_bound();
      }
      for (std::size_t i = 0; i < honest_; ++i)
        clients.spawn("honest" + std::to_string(i), [this, i, server] { be_honest(i, server); });
    }

    void check_bound() {
      if constexpr (over_datagrams<T>) return;  // its own test counts handshakes
      env_->judge().check(server_.live_streams() <= bound_ + 1, "accept", [&] {
        return std::to_string(server_.live_streams()) +
               " handshakes are unfinished; the bound is " + std::to_string(bound_);
      });
    }

    // Connects, says nothing, and waits to be dropped.
    void be_mute(std::size_t i, const Address& server) {
      if constexpr (over_datagrams<T>)
        be_mute_after_handshake(i, server);
      else
        be_mute_on_stream(i, server);
    }

    // Shakes hands and sends no message. At the bound the handshake itself may be cut short.
    void be_mute_after_handshake(std::size_t i, const Address& server) {
      Network& network = env_->node("mute");
      Told(*env_, "mute" + std::to_string(i)).does("is a peer that connects and says nothing");
      auto conn =
          T::dial(network, server, env_->dial_options<T>(), network.clock().in(honest_patience));
      if (conn) {
        const TimePoint connected = network.clock().now();
        auto [reader, writer] = split(std::move(*conn));
        auto message = reader.read_message(default_max_message,
                                           network.clock().in(handshake_timeout + honest_patience));
        env_->judge().check(
            !message && message.error() == Errc::broken &&
                network.clock().now() <= connected + handshake_timeout + std::chrono::seconds(2),
            "accept",
            [&] { return "mute peer " + std::to_string(i) + " was not dropped in time"; });
      }
      dropped_at_[i] = network.clock().now();
      Told(*env_, "mute" + std::to_string(i)).does("is dropped, or gives up");
    }

    void be_mute_on_stream(std::size_t i, const Address& server) {
      Network& network = env_->node("mute");
      Told(*env_, "mute" + std::to_string(i)).does("connects and says nothing");
      auto stream = network.dial(server, {}, network.clock().in(honest_patience));
      if (!stream) return;
      const TimePoint connected = network.clock().now();
      Result<Slice> bytes = Errc::timed_out;
      if constexpr (has_layer_below<T>)
        if (i % 2 == 1) bytes = dawdle_below_frames(network, *stream);
      if (!bytes && bytes.error() == Errc::timed_out && *stream != nullptr)
        bytes = (*stream)->read(network.clock().in(handshake_timeout + honest_patience));
      env_->judge().check(
          accept_failed_ ||
              network.clock().now() <= connected + handshake_timeout + std::chrono::seconds(1),
          "accept",
          [&] { return "mute peer " + std::to_string(i) + " had more time than a handshake has"; });
      env_->judge().check(!bytes ? bytes.error() == Errc::broken : bytes->empty(), "accept", [&] {
        return "mute peer " + std::to_string(i) + " was not dropped " +
               std::to_string((network.clock().now() - connected).count()) +
               " ns after it connected";
      });
      dropped_at_[i] = network.clock().now();
      Told(*env_, "mute" + std::to_string(i)).does("is dropped, or gives up");
    }

    // Most of the time goes by before the handshake of the layer below (TLS); what is above it has only the rest.
    // Returns what a read did that ended before its time; the stream is gone where the handshake failed.
    Result<Slice> dawdle_below_frames(Network& network, std::unique_ptr<ByteStream>& stream) {
      auto early = stream->read(network.clock().in(handshake_timeout - std::chrono::seconds(1)));
      if (early || early.error() != Errc::timed_out) return early;
      auto secured = tls_connect(network, std::move(stream), env_->dial_options<T>().tls,
                                 network.clock().in(honest_patience));
      if (!secured) return Errc::broken;
      stream = std::move(*secured);
      return Errc::timed_out;
    }

    // At the bound the oldest goes, and all have the same time: so they go in the order in which they came. A
    // connection that died in the backlog says nothing, so with that fault on the order is not judged.
    void oldest_made_room() {
      if (accept_failed_) return;
      for (std::size_t i = 1; i < mutes_; ++i)
        env_->judge().check(dropped_at_[i - 1] <= dropped_at_[i], "accept", [&] {
          return "mute peer " + std::to_string(i) + " had to go before the older peer " +
                 std::to_string(i - 1);
        });
    }

    void be_honest(std::size_t i, const Address& server) {
      Network& network = env_->node("honest");
      for (int attempt = 0; attempt < 40; ++attempt) {
        // Honest clients that retry in step would evict each other for ever where the bound is one handshake.
        if (attempt > 0)
          (void)scheduler().sleep_for(std::chrono::milliseconds(attempt * static_cast<int>(i + 1)));
        auto conn =
            T::dial(network, server, env_->dial_options<T>(), network.clock().in(honest_patience));
        if (!conn) Told(*env_, "honest" + std::to_string(i)).dial_failed(conn.error());
        // Where the transport has a handshake of its own, it is that which is reset in the backlog, or evicted.
        if (exchanges_at_dial<T> && !conn && conn.error() == Errc::broken) continue;
        // A full house may evict a datagram transport's handshake, which TCP's kernel has behind it by then.
        if (over_datagrams<T> && !conn && conn.error() == Errc::handshake) continue;
        if (!env_->judge().check(conn.has_value(), "accept", [&] {
              return "an honest client could not connect: " + to_string(conn.error());
            }))
          return;
        auto [reader, writer] = split(std::move(*conn));
        Told told(*env_, "honest" + std::to_string(i));
        Batch batch(1);
        if (auto hello = MutableMessage::create(network.buffers(), Command::ping, 10 * i)) {
          std::ranges::fill(hello->body(), static_cast<std::byte>(i));
          batch.push(std::move(*hello).freeze());
        }
        if (!told.send(writer, batch, network.clock().in(honest_patience))) continue;
        auto answer = told.read(reader, default_max_message, network.clock().in(honest_patience));
        if (answer) {
          (void)told.close(writer, std::chrono::seconds(5));
          return;
        }
        // Reset in the backlog, or evicted while many came at once: try again. Kept waiting: no.
        if (!env_->judge().check(answer.error() != Error{Errc::timed_out}, "accept",
                                 "an honest client waited in vain behind mute peers"))
          return;
      }
      env_->judge().violate("accept", "an honest client was never served");
    }

    void serve(typename T::Listener& listener, Scope& servers) {
      for (;;) {
        auto accepted = listener.accept(Deadline::never());
        if (accepted) {
          servers.spawn("server.conn", [&, conn = std::move(accepted->first)]() mutable {
            answer(std::move(conn));
          });
          continue;
        }
        if (accepted.error() == Errc::canceled || accepted.error() == Errc::shutting_down) return;
        accept_failed_ = true;
        told_.accept_failed(accepted.error());
      }
    }

    void answer(typename T::Conn conn) {
      auto [reader, writer] = split(std::move(conn));
      auto hello =
          reader.read_message(default_max_message, server_.clock().in(std::chrono::seconds(1)));
      if (!env_->judge().check(hello.has_value(), "accept",
                               "accept yielded a connection whose first message had not arrived"))
        return;
      Batch batch(1);
      batch.push(std::move(*hello));
      if (!writer.send_batch(batch, server_.clock().in(std::chrono::seconds(5)))) return;
      (void)reader.read_message(default_max_message, server_.clock().in(std::chrono::seconds(60)));
      (void)writer.close(std::chrono::seconds(5));
    }

    Env* env_;
    TapNetwork server_;
    Told told_;
    std::size_t mutes_;
    std::size_t honest_;
    std::size_t bound_;
    std::vector<TimePoint> dropped_at_;
    bool accept_failed_ = false;
  };
};

}  // namespace twinwire::laws
