// SPDX-License-Identifier: Apache-2.0
// The requests of `operations`: each call in a fiber of its own. A request, or a reply, that is told to stop costs
// itself; it is asked again, and everything beside it goes on.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "props/laws/env.h"
#include "props/laws/harm.h"
#include "props/laws/traits.h"
#include "transport/quic/quic.h"
#include "transport/seam.h"

namespace twinwire::laws {

// Runs f() in a fiber of that name. Whether that fiber was told to stop; the caller looks after itself.
template <class F>
bool perform(Scheduler& scheduler, const std::string& name, F&& f) {
  bool told = false;
  run_scope(scheduler, [&](Scope& scope) {
    scope.spawn(name, [&] {
      f();
      told = scheduler.cancel_pending();
    });
  });
  return told;
}

// No call of an undisturbed run takes as long.
inline constexpr Duration call_limit = std::chrono::minutes(2);

template <Transport T>
class Asking {
 public:
  Asking(Env& env, Network& network, std::string who, Attempt& attempt, Harm& harm)
      : env_(&env), network_(&network), who_(std::move(who)), attempt_(&attempt), harm_(&harm) {}

  // Until it is answered. False where the connection is over, or the caller was told to stop.
  bool ask(typename T::Writer& writer, std::uint64_t number, std::size_t body) {
    for (;;) {
      const Message request = make(number, body);
      if (request.empty()) return false;
      Result<Message> reply = Errc::canceled;
      const bool told = perform(scheduler(), who_ + ".request", [&] {
        reply = writer.request(request, default_max_message, network_->clock().in(call_limit));
        if (!reply && scheduler().cancel_pending()) attempt_->requests_told = true;
      });
      if (reply) {
        const auto bytes = reply->body();
        env_->judge().check(
            bytes.size() == body &&
                std::ranges::all_of(
                    bytes, [&](std::byte b) { return b == static_cast<std::byte>(number); }),
            "reply_matches",
            [&] { return who_ + ": request " + std::to_string(number) + " got another's reply"; });
        return true;
      }
      if (scheduler().cancel_pending()) return false;
      const bool its_own = reply.error() == Errc::canceled || reply.error() == Errc::no_resources ||
                           (reply.error() == Errc::refused && attempt_->replies_told);
      harm_->failed(its_own ? nullptr : attempt_, "request", reply.error(), told);
      if (!its_own) return false;
      pause();
    }
  }

  // Answers each request with a reply of its size, until the connection ends.
  void answer(typename T::Reader& reader) {
    for (;;) {
      Result<QuicRequest> request = Errc::canceled;
      bool told = perform(scheduler(), who_ + ".next_request", [&] {
        request = reader.next_request(default_max_message, network_->clock().in(call_limit));
      });
      if (scheduler().cancel_pending()) return;
      if (!request) {
        if (request.error() == Errc::closed) return;
        const bool goes_on =
            request.error() == Errc::canceled || request.error() == Errc::no_resources;
        harm_->failed(goes_on ? nullptr : attempt_, "next_request", request.error(), told);
        if (!goes_on) return;
        pause();
        continue;
      }
      const Message reply = make(request_id(request->message()), request->message().body().size());
      if (reply.empty()) return;
      Result<void> sent = Errc::canceled;
      told = perform(scheduler(), who_ + ".reply", [&] {
        sent = request->reply(reply, network_->clock().in(call_limit));
        if (!sent && scheduler().cancel_pending()) attempt_->replies_told = true;
      });
      if (sent) continue;
      const bool its_own = sent.error() == Errc::canceled || sent.error() == Errc::no_resources ||
                           (sent.error() == Errc::refused && attempt_->requests_told);
      if (sent.error() == Errc::no_resources) attempt_->replies_told = true;
      harm_->failed(its_own ? nullptr : attempt_, "reply", sent.error(), told);
    }
  }

 private:
  Scheduler& scheduler() { return network_->scheduler(); }
  void pause() { (void)scheduler().sleep_for(std::chrono::milliseconds(1)); }

  // Empty where there was no memory for long.
  Message make(std::uint64_t number, std::size_t body) {
    for (int tries = 0; tries < 100; ++tries) {
      auto message = MutableMessage::create(network_->buffers(), Command::request, body);
      if (!message) {
        pause();
        continue;
      }
      message->set_request_id(number);
      std::ranges::fill(message->body(), static_cast<std::byte>(number));
      return std::move(*message).freeze();
    }
    return {};
  }

  Env* env_;
  Network* network_;
  std::string who_;
  Attempt* attempt_;
  Harm* harm_;
};

}  // namespace twinwire::laws
