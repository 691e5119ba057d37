// SPDX-License-Identifier: Apache-2.0
// A scenario of one's own: clients take turns at a lease that one server grants, with a law of its own: no two clients
// believe that they hold it at the same time.
//
// A lease lasts `ttl_ms`. The server counts from the moment at which it grants; a client that counts from the moment
// at which it asked gives it up in time, however long the answer took. With the knob bug=1 it counts from the arrival
// of the answer: right on a fast network, wrong on a slow one.
#include <cstdint>
#include <string>
#include <string_view>

#include "cli/tool.h"
#include "props/laws/env.h"
#include "transport/seam.h"

using namespace twinwire;

namespace {

struct Lease {
  static constexpr std::string_view name = "lease";
  static constexpr std::string_view summary =
      "clients take turns at a lease; no two hold it at one time";

  template <Transport T>
  static void run(laws::Env& env) {
    Network& network = env.node("server");
    Holder holder{&env, std::chrono::milliseconds(env.knob("ttl_ms", 50)), env.knob("bug", 0) != 0};
    const std::int64_t clients = env.knob("clients", 3);
    const std::int64_t turns = env.knob("turns", 5);
    Scheduler& scheduler = network.scheduler();
    run_scope(scheduler, [&](Scope& background) {
      auto listener =
          T::listen(network, background, env.bind_address("server"), env.listen_options<T>());
      if (!env.judge().check(listener.has_value(), "lease_listen", "the server could not listen"))
        return;
      run_scope(scheduler, [&](Scope& ends) {
        const FiberHandle server =
            ends.spawn("server", [&] { serve<T>(network, *listener, holder.ttl); });
        run_scope(scheduler, [&](Scope& scope) {
          for (std::int64_t i = 0; i < clients; ++i) {
            const std::string who = "client" + std::to_string(i);
            scope.spawn(who, [&, who] {
              for (std::int64_t turn = 0; turn < turns; ++turn)
                take_turn<T>(env, listener->local(), who, holder);
            });
          }
        });
        scheduler.cancel(server);
      });
      background.cancel();
    });
  }

 private:
  // What an all-knowing observer sees, and the law.
  struct Holder {
    laws::Env* env;
    Duration ttl;
    bool bug;
    std::string who;
    TimePoint until{0};

    void takes(const std::string& client, TimePoint now, TimePoint end) {
      env->judge().check(now >= until || client == who, "one_holder", [&] {
        return client + " took the lease at " + std::to_string(now.ns) + " ns, and " + who +
               " believes to hold it until " + std::to_string(until.ns) + " ns";
      });
      who = client;
      until = end;
    }
  };

  template <Transport T>
  static void serve(Network& network, typename T::Listener& listener, Duration ttl) {
    TimePoint free_at{0};
    run_scope(network.scheduler(), [&](Scope& sessions) {
      for (;;) {
        auto accepted = listener.accept(Deadline::never());
        if (!accepted &&
            (accepted.error() == Errc::canceled || accepted.error() == Errc::shutting_down))
          break;
        if (!accepted) continue;
        sessions.spawn(
            "session", [&network, &free_at, ttl, conn = std::move(accepted->first)]() mutable {
              auto [reader, writer] = split(std::move(conn));
              const auto request =
                  reader.read_message(header_size, network.clock().in(std::chrono::seconds(1)));
              if (!request) return;
              const bool granted = network.clock().now() >= free_at;
              if (granted) free_at = network.clock().now() + ttl;
              (void)send(network, writer, Command::reply, granted ? 1 : 0);
              (void)writer.close(std::chrono::seconds(1));
            });
      }
    });
  }

  template <Transport T>
  static void take_turn(laws::Env& env, const Address& server, const std::string& who,
                        Holder& holder) {
    Network& network = env.node(who);
    auto conn = T::dial(network, server, env.dial_options<T>(),
                        network.clock().in(std::chrono::seconds(1)));
    if (!conn) return;
    auto [reader, writer] = split(std::move(*conn));
    const TimePoint asked = network.clock().now();
    if (!send(network, writer, Command::request, 0)) return;
    const auto reply =
        reader.read_message(header_size, network.clock().in(std::chrono::seconds(1)));
    (void)writer.close(std::chrono::seconds(1));
    const TimePoint now = network.clock().now();
    const TimePoint end = (holder.bug ? now : asked) + holder.ttl;
    if (reply && reply->header().view() == 1 && now < end) holder.takes(who, now, end);
  }

  // One message without a body; its view says whether the lease was granted.
  template <class Writer>
  static Result<void> send(Network& network, Writer& writer, Command command, std::uint32_t view) {
    auto message = MutableMessage::create(network.buffers(), command, 0);
    if (!message) return message.error();
    message->set_view(view);
    Batch batch(1);
    batch.push(std::move(*message).freeze());
    return writer.send_batch(batch, network.clock().in(std::chrono::seconds(1)));
  }
};

}  // namespace

int main(int argc, char** argv) {
  auto registry = laws::built_in_scenarios();
  registry.add<Lease>();
  return cli::tool_main(argc, argv, registry);
}
