// SPDX-License-Identifier: Apache-2.0
// OperationSide: one end of a connection in `operations`. Each call runs in a fiber of its own, named for the call, so
// that each can be told to stop alone; whoever called it goes on from there as the contract says that it can.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "props/laws/env.h"
#include "props/laws/harm.h"
#include "props/laws/operation_requests.h"
#include "props/laws/told.h"
#include "props/laws/traffic_side.h"

namespace twinwire::laws {

// What one side sends: the bodies of each batch.
using BatchBodies = std::vector<std::vector<std::uint32_t>>;
inline std::size_t messages_in(const BatchBodies& batches) noexcept {
  std::size_t count = 0;
  for (const auto& bodies : batches) count += bodies.size();
  return count;
}

template <Transport T>
class OperationSide {
 public:
  OperationSide(Env& env, TapNetwork& network, typename T::Conn conn, std::string who, bool client)
      : env_(&env),
        network_(&network),
        who_(std::move(who)),
        told_(env, who_),
        me_(client ? 0 : 1),
        got_everything_(network.scheduler()),
        reading_over_(network.scheduler()) {
    auto halves = split(std::move(conn));
    reader_.emplace(std::move(halves.first));
    writer_.emplace(std::move(halves.second));
  }

  // The message with which a client says whose connection it is. nullptr: there was none.
  Attempt* learn(Harm& harm) {
    harm_ = &harm;
    while (!scheduler().cancel_pending()) {
      Result<Message> message = Errc::canceled;
      const bool told = read(message);
      if (message) {
        Attempt* attempt = harm.of(*message);
        env_->judge().check(attempt != nullptr, "prefix", "a first message is nobody's");
        if (attempt != nullptr) attempt->up.yielded(*message);
        return attempt;
      }
      if (goes_on(message.error(), told)) continue;
      harm.failed(nullptr, "read_message", message.error(), told);
      return nullptr;
    }
    harm.dropped_a_stranger();
    return nullptr;
  }

  // Sends `batches`, reads what the peer sends, asks or answers, and closes.
  void run(Harm& harm, Attempt& attempt, std::shared_ptr<StreamRecord> record,
           const BatchBodies& batches, const BatchBodies& of_peer) {
    harm_ = &harm;
    attempt_ = &attempt;
    expected_ = messages_in(of_peer);
    record->pieces = pieces_of<T>(me_ == 0);
    Witness& sent = me_ == 0 ? attempt.up : attempt.down;
    Witness& seen = me_ == 0 ? attempt.down : attempt.up;
    checks_.emplace(*env_, who_, Traits::of<T>(), std::move(record), sent, seen);
    if (seen.yielded_count() >= expected_) got_everything_.set();
    run_scope(scheduler(), [&](Scope& scope) {
      scope.spawn(who_ + ".reading", [&] {
        run_scope(scheduler(), [&](Scope& answering) {
          if constexpr (has_requests<T>)
            if (me_ == 1) answer_requests(answering);
          read_all();
        });
        if (scheduler().cancel_pending()) leave(reader_);
        got_everything_.set();
        reading_over_.set();
      });
      scope.spawn(who_ + ".writing", [&] {
        bool sent_all = true;
        run_scope(scheduler(), [&](Scope& asking) {
          if constexpr (has_requests<T>)
            if (me_ == 0) ask_requests(asking);
          for (const auto& bodies : batches) sent_all = sent_all && send(bodies);
        });
        if (sent_all) end();
        if (scheduler().cancel_pending()) leave(writer_);
      });
    });
  }

 private:
  Scheduler& scheduler() { return network_->scheduler(); }
  Deadline limit() { return network_->clock().in(call_limit); }
  std::string name(std::string_view call) const { return who_ + "." + std::string(call); }

  // Whoever held this half was told to stop: the connection is dropped, and the other half's fiber must notice.
  template <class Half>
  void leave(std::optional<Half>& half) {
    attempt_->harmed = true;
    half.reset();
  }

  // A read that was told to stop, or found no memory, is called again: it has lost nothing.
  bool goes_on(Error error, bool told) {
    if (error != Errc::canceled && error != Errc::no_resources) return false;
    harm_->failed(nullptr, "read_message", error, told);
    if (error == Errc::no_resources) (void)scheduler().sleep_for(std::chrono::milliseconds(1));
    return true;
  }

  bool read(Result<Message>& message) {
    return perform(scheduler(), name("read_message"),
                   [&] { message = told_.read(*reader_, default_max_message, limit()); });
  }

  void read_all() {
    for (;;) {
      Result<Message> message = Errc::canceled;
      const bool told = read(message);
      if (message) {
        checks_->seen().yielded(*message);
        if (checks_->seen().yielded_count() >= expected_) got_everything_.set();
        continue;
      }
      if (scheduler().cancel_pending()) return;
      if (goes_on(message.error(), told)) continue;
      read_end_ = message.error();
      if (*read_end_ == Errc::closed)
        env_->judge().check(attempt_->closing[0] || attempt_->closing[1], "read_end",
                            who_ + ": it read as closed, and nobody had closed it");
      else
        harm_->failed(attempt_, "read_message", *read_end_, told);
      if (*read_end_ == Errc::timed_out) return;
      checks_->reading_ended(*read_end_, attempt_->closing[me_]);
      checks_->reading_stays_ended(*read_end_, reader_->read_message(default_max_message, limit()));
      return;
    }
  }

  // False where the connection is over.
  bool send(const std::vector<std::uint32_t>& bodies) {
    Batch batch(bodies.size());
    for (const std::uint32_t body : bodies) {
      auto message = make(checks_->sent(), body);
      if (!message) return false;
      batch.push(std::move(*message));
    }
    const Batch before = batch;
    const Message* allocation = batch.messages().data();
    const std::size_t capacity = batch.capacity();
    checks_->sent().offered(batch);
    checks_->record().in_flight = checks_->traits().zero_copy ? &before : nullptr;
    Result<void> sent = Errc::canceled;
    const bool told = perform(scheduler(), name("send_batch"), [&] {
      sent = told_.send(*writer_, batch, limit());
      if (!sent && scheduler().cancel_pending()) attempt_->harmed = true;
      if (!sent && record_over_datagrams()) checks_->record().dropped = true;
    });
    checks_->record().in_flight = nullptr;
    if (sent) {
      checks_->sent().succeeded();
      checks_->batch_sent(batch, allocation, capacity);
      return true;
    }
    checks_->sent().failed();
    checks_->batch_failed(batch, before, sent.error());
    harm_->failed(attempt_, "send_batch", sent.error(), told);
    CancelShield shield(scheduler());
    Batch next = before;
    const std::uint64_t writes = checks_->record().writes;
    checks_->stays_failed(sent.error(), writer_->send_batch(next, limit()), writes);
    notice("reader_wakes", "send_batch failed");
    return false;
  }

  bool record_over_datagrams() { return checks_->record().datagrams; }

  // The user's own message: where memory is short it tries again, so that what is judged is the transport.
  Result<Message> make(Witness& witness, std::size_t body) {
    for (int tries = 0;; ++tries) {
      auto message = witness.make(network_->buffers(), body);
      if (message || tries == 100) return message;
      if (!scheduler().sleep_for(std::chrono::milliseconds(1))) return message;
    }
  }

  void end() {
    if (!(me_ == 0 ? got_everything_ : reading_over_)
             .wait(Deadline::never(), "the peer's messages"))
      return;
    if (read_end_ && *read_end_ != Errc::closed) return;
    attempt_->closing[me_] = true;
    Result<void> closed = Errc::canceled;
    const bool told = perform(scheduler(), name("close"), [&] {
      closed = told_.close(*writer_, call_limit);
      if (!closed && scheduler().cancel_pending()) attempt_->harmed = true;
    });
    if (!closed) {
      harm_->failed(attempt_, "close", closed.error(), told);
      return;
    }
    checks_->closed_gracefully();
    attempt_->closed[me_] = true;
    notice("reader_wakes", "close returned ok");
  }

  void notice(std::string_view law, std::string_view after) {
    CancelShield shield(scheduler());
    env_->judge().check(
        reading_over_.wait(network_->clock().in(wake_limit), "the reader to notice").has_value(),
        law, [&] { return who_ + ": the reader did not end after " + std::string(after); });
  }

  // --- Requests ----------------------------------------------------------------------------------------------------

  void ask_requests(Scope& scope) {
    for (std::uint64_t asker = 0; asker < 2; ++asker)
      scope.spawn(name("asking"), [&, asker] {
        Asking<T> asking(*env_, *network_, who_, *attempt_, *harm_);
        for (const std::uint32_t body : {200U, 20'000U})
          if (!asking.ask(*writer_, 2 * asker + (body > 1000 ? 1 : 0), body)) return;
      });
  }
  void answer_requests(Scope& scope) {
    scope.spawn(name("answering"), [&] {
      Asking<T>(*env_, *network_, who_, *attempt_, *harm_).answer(*reader_);
      if (scheduler().cancel_pending()) attempt_->harmed = true;
    });
  }

  Env* env_;
  TapNetwork* network_;
  std::string who_;
  Told told_;
  unsigned me_;  // 0: the client
  std::optional<typename T::Reader> reader_;
  std::optional<typename T::Writer> writer_;
  Harm* harm_ = nullptr;
  Attempt* attempt_ = nullptr;
  std::optional<SideChecks> checks_;
  std::size_t expected_ = 0;
  Event got_everything_;
  Event reading_over_;
  std::optional<Error> read_end_;
};

}  // namespace twinwire::laws
