// SPDX-License-Identifier: Apache-2.0
// TrafficSide: one end of a connection that sends and reads by plan, and holds the transport to its laws meanwhile.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "props/laws/env.h"
#include "props/laws/tap.h"
#include "props/laws/told.h"
#include "props/laws/traffic_plan.h"
#include "props/laws/witness.h"
#include "transport/seam.h"

namespace twinwire::laws {

// How a side ended, for laws that need both.
struct SideOutcome {
  std::optional<Error> read_end;  // what ended reading
  bool read_end_before_own_close = false;
  std::optional<Result<void>> close;  // what close() returned, if it was called
  bool gave_up = false;  // a batch failed by its deadline or a cancel: this side dropped
};

// How strict a transport lets its laws be (transport/seam.h).
struct Traits {
  bool zero_copy;
  bool bare_frames;

  template <class T>
  static constexpr Traits of() {
    return {is_zero_copy<T>, has_bare_frames<T>};
  }
};

// The checks, apart from the transport's types: traffic_checks.cc.
class SideChecks {
 public:
  SideChecks(Env& env, std::string label, Traits traits, std::shared_ptr<StreamRecord> record,
             Witness& sent, Witness& seen)
      : env_(&env),
        label_(std::move(label)),
        traits_(traits),
        record_(std::move(record)),
        accepted_before_(record_->accepted),
        sent_(&sent),
        seen_(&seen) {}

  // Real time passes between an event and its observer; virtual time does not.
  Duration slack() const noexcept { return env_->slack(); }
  void in_time(std::string_view law, std::string_view what, TimePoint now, TimePoint limit);

  // Around send_batch. `before` is a copy of the batch's references.
  void batch_sent(const Batch& batch, const Message* allocation, std::size_t capacity);
  void batch_failed(const Batch& batch, const Batch& before, Error error);
  void stays_failed(Error first, const Result<void>& again, std::uint64_t writes_before);
  void reading_ended(Error error, bool own_close_started);
  void reading_stays_ended(Error first, const Result<Message>& again);
  void closed_gracefully();

  const Traits& traits() const noexcept { return traits_; }
  StreamRecord& record() noexcept { return *record_; }
  Witness& sent() noexcept { return *sent_; }
  Witness& seen() noexcept { return *seen_; }
  Judge& judge() noexcept { return env_->judge(); }
  const std::string& label() const noexcept { return label_; }

 private:
  Env* env_;
  std::string label_;
  Traits traits_;
  std::shared_ptr<StreamRecord> record_;
  std::uint64_t accepted_before_;  // by the handshake
  Witness* sent_;
  Witness* seen_;
};

inline constexpr Duration idle_limit =
    std::chrono::seconds(60);  // a silent network must not end in a deadlock
inline constexpr Duration wake_limit =
    std::chrono::seconds(2);  // from a drop to the reader's error

template <MessageReader Reader, MessageWriter Writer>
class TrafficSide {
 public:
  TrafficSide(Env& env, Network& network, Reader reader, Writer writer, const SidePlan& plan,
              std::size_t messages_of_peer, SideChecks checks, std::uint64_t key)
      : env_(&env),
        network_(&network),
        reader_(std::move(reader)),
        writer_(std::move(writer)),
        plan_(&plan),
        expected_(messages_of_peer),
        checks_(std::move(checks)),
        told_(env, checks_.label()),
        key_(key),
        got_everything_(network.scheduler()),
        reading_over_(network.scheduler()) {
    if (expected_ == 0) got_everything_.set();
  }

  // Sends, reads and ends by plan; returns when both halves are done with.
  SideOutcome run() {
    run_scope(scheduler(), [&](Scope& scope) {
      const FiberHandle reading = scope.spawn(checks_.label() + ".read", [&] { read_all(); });
      const FiberHandle writing = scope.spawn(checks_.label() + ".write", [&, reading] {
        write_all();
        if (!outcome_.close) scheduler().cancel(reading);  // nothing more to wait for
      });
      if (plan_->end != SideEnd::canceled) return;
      if (!reading_over_.wait(network_->clock().in(plan_->cancel_after), "the plan's cancel")) {
        told_.does("is told to stop");
        scheduler().cancel(reading);
        scheduler().cancel(writing);
      }
    });
    return outcome_;
  }

 private:
  Scheduler& scheduler() { return network_->scheduler(); }
  Deadline limit() { return network_->clock().in(idle_limit); }
  // What had arrived before may still be read, with the plan's pause after each.
  Deadline reader_wakes_by() {
    return network_->clock().in(wake_limit +
                                plan_->reader.pause * static_cast<std::int64_t>(expected_));
  }
  std::uint64_t draw(std::uint64_t bound) {
    key_ = scramble(key_ + 0x9e3779b97f4a7c15ULL);
    return key_ % bound;
  }

  // --- Reading ---------------------------------------------------------------------------------------------------

  void read_all() {
    TimePoint patience_ends = limit().at;
    for (;;) {
      auto message = read_one({patience_ends});
      if (message) {
        told_.got(*message);
        checks_.seen().yielded(*message);
        if (plan_->reader.hold != 0) {
          if (held_.size() == plan_->reader.hold) held_.pop_front();
          held_.push_back(std::move(*message));
        }
        if (checks_.seen().yielded_count() >= expected_) got_everything_.set();
        patience_ends = limit().at;
        if (plan_->reader.pause.count() != 0) (void)scheduler().sleep_for(plan_->reader.pause);
        continue;
      }
      const Error error = message.error();
      // As after a shortage no byte is lost, and it may be called again.
      const bool short_of_memory = error == Errc::no_resources;
      const bool told_to_stop =
          error == Errc::timed_out || error == Errc::canceled || short_of_memory;
      if (short_of_memory) (void)scheduler().sleep_for(std::chrono::milliseconds(1));
      if (told_to_stop && !scheduler().cancel_pending() &&
          network_->clock().now() < patience_ends) {
        told_.reading_stopped();
        continue;
      }
      told_.reading_ended(error);
      if (!told_to_stop) {
        checks_.reading_ended(error, close_started_);
        auto again = reader_.read_message(default_max_message, limit());
        if (!scheduler().cancel_pending()) checks_.reading_stays_ended(error, again);
      }
      outcome_.read_end = error;
      outcome_.read_end_before_own_close = !close_started_;
      break;
    }
    got_everything_.set();
    reading_over_.set();
  }

  Result<Message> read_one(Deadline patience) {
    const ReaderPlan& plan = plan_->reader;
    if (plan.stop_percent == 0 || draw(100) >= plan.stop_percent) return timed_read(patience);
    const Deadline stop = earlier(patience, network_->clock().in(plan.stop_after));
    if (!plan.by_cancel) return timed_read(stop);
    Result<Message> message = Errc::canceled;
    run_scope(scheduler(), [&](Scope& scope) {
      Event done(scheduler());
      const FiberHandle read = scope.spawn("read to cancel", [&] {
        message = reader_.read_message(default_max_message, patience);
        done.set();
      });
      if (!done.wait(stop, "a read that will be canceled")) scheduler().cancel(read);
      scope.join();
    });
    return message;
  }

  Result<Message> timed_read(Deadline deadline) {
    auto message = reader_.read_message(default_max_message, deadline);
    checks_.in_time("deadline", "read_message", network_->clock().now(), deadline.at);
    return message;
  }

  // --- Writing ---------------------------------------------------------------------------------------------------

  void write_all() {
    Batch batch(8);
    for (const BatchPlan& plan : plan_->batches) {
      if (plan.pause.count() != 0 && !scheduler().sleep_for(plan.pause)) break;
      for (const std::uint32_t body : plan.bodies)
        if (auto message = checks_.sent().make(network_->buffers(), body))
          batch.push(std::move(*message));
      const Deadline deadline =
          plan.patience.count() != 0 ? network_->clock().in(plan.patience) : limit();
      if (!send(batch, deadline)) return;
    }
    end();
  }

  bool send(Batch& batch, Deadline deadline) {
    const Batch before = batch;
    const Message* allocation = batch.messages().data();
    const std::size_t capacity = batch.capacity();
    checks_.sent().offered(batch);
    checks_.record().in_flight = checks_.traits().zero_copy ? &before : nullptr;
    auto sent = told_.send(writer_, batch, deadline);
    checks_.record().in_flight = nullptr;
    checks_.in_time("deadline", "send_batch", network_->clock().now(), deadline.at);
    if (sent) {
      checks_.sent().succeeded();
      checks_.batch_sent(batch, allocation, capacity);
      return true;
    }
    checks_.sent().failed();
    checks_.batch_failed(batch, before, sent.error());
    outcome_.gave_up = sent.error() == Errc::timed_out || sent.error() == Errc::canceled;
    if (plan_->batch_after_failure) try_after_failure(sent.error(), before);
    // The reader wakes with an error, whatever it was doing.
    CancelShield shield(scheduler());
    if (!reading_over_.wait(reader_wakes_by(), "the reader to notice the drop"))
      checks_.judge().violate("reader_wakes",
                              checks_.label() + ": the reader did not end after the writer failed");
    return false;
  }

  void try_after_failure(Error first, const Batch& failed) {
    CancelShield shield(scheduler());
    Batch next = failed;
    const std::uint64_t writes = checks_.record().writes;
    auto again = writer_.send_batch(next, limit());
    checks_.stays_failed(first, again, writes);
  }

  // --- The end ---------------------------------------------------------------------------------------------------

  void end() {
    switch (plan_->end) {
      case SideEnd::vanish: told_.does("vanishes"); return;
      case SideEnd::canceled:
      case SideEnd::follow: {
        if (!reading_over_.wait(Deadline::never(), "the peer's end")) return;
        if (outcome_.read_end != Error{Errc::closed}) return;
        break;
      }
      case SideEnd::close_after_peer:
        if (!got_everything_.wait(limit(), "everything from the peer")) return;
        break;
      case SideEnd::close_early: break;
    }
    close_started_ = true;
    const Deadline deadline = network_->clock().in(plan_->grace);
    outcome_.close = told_.close(writer_, plan_->grace);
    checks_.in_time("close_returns", "close", network_->clock().now(), deadline.at);
    if (!*outcome_.close) return;
    checks_.closed_gracefully();
    if (!reading_over_.wait(reader_wakes_by(), "the reader to notice the close") &&
        !scheduler().cancel_pending())
      checks_.judge().violate("reader_wakes",
                              checks_.label() + ": the reader did not end after close returned ok");
  }

  Env* env_;
  Network* network_;
  Reader reader_;
  Writer writer_;
  const SidePlan* plan_;
  std::size_t expected_;
  SideChecks checks_;
  Told told_;
  std::uint64_t key_;
  std::deque<Message> held_;
  Event got_everything_;
  Event reading_over_;
  bool close_started_ = false;
  SideOutcome outcome_;
};

}  // namespace twinwire::laws
