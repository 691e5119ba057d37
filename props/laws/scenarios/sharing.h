// SPDX-License-Identifier: Apache-2.0
// sharing: one connection, whose writer many fibers share on both sides (transport/shared/). Each sends by calls of its
// own, some impatient, some told to stop in the middle; some sides close while others still send, or vanish.
#pragma once

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>

#include "props/laws/shared_side.h"
#include "transport/seam.h"

namespace twinwire::laws {

struct Sharing {
  static constexpr std::string_view name = "sharing";
  static constexpr std::string_view summary =
      "many fibers share the writer of one connection: what each is told, and what arrives";

  template <Transport T>
  static void run(Env& env) {
    Run<T> run(env);
    run.all();
  }

 private:
  static constexpr Duration patience = std::chrono::seconds(60);

  template <Transport T>
  class Run {
   public:
    explicit Run(Env& env)
        : env_(&env),
          server_(env.node("server"), env.judge(), env.origins()),
          client_(env.node("client"), env.judge(), env.origins()),
          up_(env.judge(), "client to server", mix(env.seed(), 1)),
          down_(env.judge(), "server to client", mix(env.seed(), 2)),
          client_plan_(draw_plan()),
          server_plan_(draw_plan()),
          server_ended_(server_.scheduler()) {
      constexpr std::size_t buffers[] = {0, 2304, 4096, 10'000};
      buffer_ = buffers[env.draw(std::size(buffers))];
      // A server that closes of its own accord would cut off what the client still sends.
      server_plan_.end = SharedPlan::End::close_after;
    }

    void all() {
      run_scope(scheduler(), [&](Scope& background) {
        auto listener = T::listen(server_, background, env_->bind_address("server"),
                                  fitted(env_->listen_options<T>()));
        if (!env_->listens(listener)) return;
        run_scope(scheduler(), [&](Scope& ends) {
          const FiberHandle serving = ends.spawn("server", [&] { serve(*listener); });
          ends.spawn("client", [&, serving] {
            auto conn = T::dial(client_, listener->local(), fitted(env_->dial_options<T>()),
                                client_.clock().in(std::chrono::seconds(10)));
            if (conn) ask(std::move(*conn));
            if (!accepted_) (void)server_ended_.wait(client_.clock().in(patience), "the server");
            if (!accepted_) scheduler().cancel(serving);
          });
        });
        background.cancel();
      });
      up_.balance();
      down_.balance();
      env_->judge().check(
          !client_closed_ || !server_read_to_end_ || up_.missing() == 0, "close_delivers", [&] {
            return "close returned ok, the peer read to the end, and " +
                   std::to_string(up_.missing()) + " messages that were sent did not arrive";
          });
    }

   private:
    Scheduler& scheduler() { return server_.scheduler(); }

    typename T::Options fitted(typename T::Options options) const {
      options.stream.send_buffer = buffer_;
      options.stream.receive_buffer = buffer_;
      return options;
    }

    SharedPlan draw_plan() {
      SharedPlan plan;
      plan.senders.resize(1 + env_->draw(12));
      for (SenderPlan& sender : plan.senders) {
        sender.calls.resize(1 + env_->draw(6));
        for (SenderPlan::Call& call : sender.calls) call = draw_call();
        if (env_->draw(5) == 1) sender.stop_after = draw_time();
      }
      constexpr std::size_t messages[] = {512, 512, 7, 2, 1};
      constexpr std::size_t bytes[] = {256 * 1024, 256 * 1024, 1000, 1};
      plan.options.batch_max = messages[env_->draw(std::size(messages))];
      plan.options.batch_bytes_max = bytes[env_->draw(std::size(bytes))];
      if (env_->draw(4) == 1) plan.options.flight_limit = std::chrono::milliseconds(50);
      plan.read_pause = std::chrono::microseconds(env_->draw(3) == 1 ? env_->draw(4000) : 0);
      const std::uint64_t end = env_->draw(8);
      plan.end = end == 1               ? SharedPlan::End::drop
                 : end <= 3 && end != 0 ? SharedPlan::End::close_early
                                        : SharedPlan::End::close_after;
      plan.close_at = draw_time();
      return plan;
    }
    SenderPlan::Call draw_call() {
      constexpr std::size_t bodies[] = {1, 40, 3000, 70'000};
      SenderPlan::Call call;
      call.body = env_->draw(bodies[env_->draw(std::size(bodies))]);
      call.pause = env_->draw(2) == 1 ? draw_time() : Duration(0);
      const std::uint64_t kind = env_->draw(4);
      call.patience = kind == 1 ? draw_time() : kind == 2 ? Duration(0) : patience;
      return call;
    }
    // 1 us to 16 ms, an octave first.
    Duration draw_time() {
      return std::chrono::microseconds(1 + env_->draw(std::uint64_t{1} << env_->draw(15)));
    }

    using Side = SharedSide<typename T::Conn::Reader, typename T::Conn::Writer>;

    void ask(typename T::Conn conn) {
      auto [reader, writer] = split(std::move(conn));
      Side side(*env_, client_, std::move(reader), std::move(writer), client_plan_,
                SharedChecks(*env_, client_, "client", client_.records().front(), up_,
                             client_plan_.options),
                down_);
      side.run(up_, [&](Side& self) {
        // The server's messages first, as far as they come.
        if (!server_sent_) (void)server_ended_.wait(client_.clock().in(patience), "the server");
        for (int n = 0; n < 100 && down_.missing() != 0 && !self.read_end(); ++n)
          (void)scheduler().sleep_for(std::chrono::milliseconds(20));
        return true;
      });
      client_closed_ = side.closed_ok();
    }

    void serve(typename T::Listener& listener) {
      Result<std::pair<typename T::Conn, Address>> accepted = Errc::broken;
      while (!accepted) {
        accepted = listener.accept(Deadline::never());
        if (accepted) break;
        if (accepted.error() == Errc::canceled || accepted.error() == Errc::shutting_down) return;
      }
      accepted_ = true;
      auto [reader, writer] = split(std::move(accepted->first));
      Side side(*env_, server_, std::move(reader), std::move(writer), server_plan_,
                SharedChecks(*env_, server_, "server", server_.record_of(accepted->second), down_,
                             server_plan_.options),
                up_);
      side.run(down_, [&](Side& self) {
        server_sent_ = true;
        server_ended_.set();
        if (!self.reading_over().wait(server_.clock().in(3 * patience), "the client's end"))
          return false;
        return self.read_end() == Error{Errc::closed};
      });
      server_sent_ = true;
      server_ended_.set();
      server_read_to_end_ =
          side.read_end() == Error{Errc::closed} && side.read_end_before_own_close();
    }

    Env* env_;
    TapNetwork server_;
    TapNetwork client_;
    Ledger up_;
    Ledger down_;
    SharedPlan client_plan_;
    SharedPlan server_plan_;
    std::size_t buffer_ = 0;
    Event server_ended_;
    bool accepted_ = false;
    bool server_sent_ = false;
    bool client_closed_ = false;
    bool server_read_to_end_ = false;
  };
};

}  // namespace twinwire::laws
