// SPDX-License-Identifier: Apache-2.0
// Client: the other side of a replicated log, over any transport: has requests applied exactly once, however often the
// connection, the primary or the answer is lost on the way.
//
//   log::Client<Wss> client(network, primary_address, wss_options);
//   auto answer = client.submit(body, network.clock().in(std::chrono::seconds(30)));
//
// One request at a time, from one fiber. Many clients, not many requests of one, make a log busy: their entries are
// synced together.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "transport/base/check.h"
#include "transport/log/entry.h"
#include "transport/seam.h"
#include "transport/wire/seal.h"

namespace twinwire::log {

struct ClientOptions {
  Duration connect_limit = std::chrono::seconds(3);  // of a dial, its handshake included
  Duration answer_limit =
      std::chrono::seconds(5);  // then the request is sent again, over a new connection
  Duration retry_every =
      std::chrono::milliseconds(200);  // pause before that: half as long to half as long again
  std::size_t answer_max = std::size_t{1} << 20;  // of a reply, header included
};

struct ClientCounters {
  std::uint64_t answered = 0;
  std::uint64_t connected = 0;   // connections made
  std::uint64_t sent_again = 0;  // how often a request was sent once more
  std::uint64_t busy = 0;        // told to ask later
  std::uint64_t sessions = 0;    // begun
};

// Why an attempt came to nothing: one more is made, and so no call of the client ends with it.
struct FailedAttempt {
  Error why;
  bool connecting =
      false;  // there was no connection yet; else it was lost, or nothing was heard over it (timed_out)
};

template <Transport T>
class Client {
 public:
  struct Answer {
    Op op = 0;  // where the request stands in the log
    Message reply;
    std::span<const std::byte> body() const noexcept { return reply.body(); }
  };

  // The network is borrowed. Nothing happens before the first submit().
  Client(Network& network, const Address& primary, const typename T::Options& options,
         const ClientOptions& limits = {})
      : network_(&network), primary_(primary), dialing_(options), limits_(limits) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  // Drops the connection. The session stays, until the log forgets it.
  ~Client() = default;

  // Has `body` applied, and gives what the application answered.
  //
  // Promise    Success: it is in the log on a majority of the replicas, and was applied, exactly once, behind all that
  //            this client had applied before.
  //            Failure: in_doubt() says whether it may have been applied, or may still be. Then resume() goes on.
  // Requires   !in_doubt(); checked
  // Suspends   Until there is an answer. It connects, and sends again, as often as it takes.
  // Errors     timed_out, canceled (no answer so far) · too_large (for the log) · refused (the log does not know this
  //            session any more: what is in doubt stays so; forget() begins a new one) · unreachable (there is no
  //            primary at that address) · invalid (the peer does not keep the protocol) · no_resources
  Result<Answer> submit(std::span<const std::byte> body, Deadline deadline) {
    TWINWIRE_CHECK(!in_doubt(), "a request is in doubt: resume() it, or forget() the session");
    if (session_ == 0)
      if (auto begun = begin_session(deadline); !begun) return begun.error();
    auto made = make_request(network_->buffers(), session_, number_ + 1, body);
    if (!made) return made.error();
    pending_ = std::move(*made);
    ++number_;
    return resume(deadline);
  }

  // Goes on with the request in doubt.
  // Requires   in_doubt()
  Result<Answer> resume(Deadline deadline) {
    TWINWIRE_CHECK(in_doubt(), "there is no request in doubt");
    auto reply = exchange(pending_, deadline);
    if (!reply) return reply.error();
    const Fields fields(*reply);
    switch (fields.status()) {
      case Status::ok:
        pending_ = Message();
        ++counters_.answered;
        return Answer{fields.op(), std::move(*reply)};
      case Status::too_large:
        pending_ = Message();
        --number_;
        return Errc::too_large;
      case Status::unknown: return Errc::refused;
      case Status::not_primary: return Errc::unreachable;
      case Status::busy:
      case Status::invalid: break;
    }
    return Errc::invalid;
  }

  bool in_doubt() const noexcept { return !pending_.empty(); }
  // Gives the session up. Whether what was in doubt was applied, or will be, nobody can say then.
  void forget() noexcept {
    pending_ = Message();
    session_ = 0;
    number_ = 0;
  }
  // The graceful end of the connection, if there is one.
  void close(Duration grace) {
    if (writer_) (void)writer_->close(grace);
    drop();
  }
  // Ends the connection as if it had been lost.
  void drop() noexcept {
    writer_.reset();
    reader_.reset();
  }

  Session session() const noexcept { return session_; }
  // Of the last request.
  std::uint64_t number() const noexcept { return number_; }
  const ClientCounters& counters() const noexcept { return counters_; }
  // The last one since the last answer: what to tell whoever waited for nothing.
  const std::optional<FailedAttempt>& last_failure() const noexcept { return failure_; }

 private:
  Result<void> begin_session(Deadline deadline) {
    if (client_ == U128{}) client_ = {network_->random().next(), network_->random().next() | 1};
    auto asking = make_register(network_->buffers(), client_);
    if (!asking) return asking.error();
    const auto reply = exchange(*asking, deadline);
    if (!reply) return reply.error();
    const Fields fields(*reply);
    if (fields.status() == Status::not_primary) return Errc::unreachable;
    if (fields.status() != Status::ok || fields.session() == 0) return Errc::invalid;
    session_ = fields.session();
    number_ = 0;
    client_ = {};
    ++counters_.sessions;
    return {};
  }

  // Sends it until there is an answer other than `busy`.
  Result<Message> exchange(const Message& request, Deadline deadline) {
    bool sent = false;
    for (bool again = false;; again = true) {
      if (const auto why = network_->scheduler().refuses(deadline)) return *why;
      if (again)
        if (auto paused = pause(deadline); !paused) return paused.error();
      if (!writer_ && !connect(deadline)) continue;
      Batch batch;
      if (!batch.reserve(1)) continue;
      if (std::exchange(sent, true)) ++counters_.sent_again;
      batch.push(request);
      const Deadline limit = earlier(deadline, network_->clock().in(limits_.answer_limit));
      if (auto gone = writer_->send_batch(batch, limit); !gone) {
        failed({gone.error(), false}, deadline);
        drop();
        continue;
      }
      auto reply = await(request, limit);
      if (!reply) {
        failed({reply.error(), false}, deadline);
        // A primary that has said good-bye waits for ours. Otherwise whatever comes late would be taken for the answer
        // to what is sent next.
        if (reply.error() == Errc::closed)
          close(limit.at - network_->clock().now());
        else
          drop();
        if (reply.error() == Errc::canceled) return reply;
        continue;
      }
      failure_.reset();
      if (Fields(*reply).status() != Status::busy) return reply;
      ++counters_.busy;
    }
  }

  // Where the caller's time is up in the middle of an attempt, the one before says more.
  void failed(const FailedAttempt& attempt, Deadline deadline) noexcept {
    const bool cut_short =
        attempt.why == Errc::canceled ||
        (attempt.why == Errc::timed_out && network_->clock().now() >= deadline.at);
    if (!failure_ || !cut_short) failure_ = attempt;
  }

  bool connect(Deadline deadline) {
    const Deadline limit = earlier(deadline, network_->clock().in(limits_.connect_limit));
    auto conn = T::dial(*network_, primary_, dialing_, limit);
    if (!conn) {
      failed({conn.error(), true}, deadline);
      return false;
    }
    auto [reader, writer] = split(std::move(*conn));
    reader_.emplace(std::move(reader));
    writer_.emplace(std::move(writer));
    ++counters_.connected;
    return true;
  }

  Result<Message> await(const Message& request, Deadline limit) {
    const Session session = Fields(request).session();
    for (;;) {
      auto reply = reader_->read_message(limits_.answer_max, limit);
      if (!reply && reply.error() == Errc::no_resources) {
        if (auto paused = pause(limit); !paused) return paused.error();
        continue;
      }
      if (!reply) return reply;
      if (reply->header().command() != Command::reply || !seal_matches(reply->bytes()))
        return Errc::invalid;
      const bool ours = session == 0 || Fields(*reply).session() == session;
      if (ours && request_id(*reply) == request_id(request)) return reply;
    }
  }

  Result<void> pause(Deadline deadline) {
    const auto most = static_cast<std::uint64_t>(limits_.retry_every.count());
    const Duration length = limits_.retry_every / 2 +
                            Duration(static_cast<std::int64_t>(network_->random().below(most + 1)));
    const TimePoint until = std::min(network_->clock().now() + length, deadline.at);
    return network_->scheduler().sleep_until(until);
  }

  Network* network_;
  Address primary_;
  typename T::Options dialing_;
  ClientOptions limits_;
  std::optional<typename T::Conn::Reader> reader_;
  std::optional<typename T::Conn::Writer> writer_;
  U128 client_;  // while it asks for a session
  Session session_ = 0;
  std::uint64_t number_ = 0;
  Message pending_;
  ClientCounters counters_;
  std::optional<FailedAttempt> failure_;
};

}  // namespace twinwire::log
